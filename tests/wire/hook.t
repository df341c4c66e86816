# Orders to the hook, on a server without one.

case without a hook every order says so
> hook status
> hook pause
> hook wait 0-1-1 10
> hook
> mn
< CLIENT_ERROR no hook: larder runs without -o mysql_hook
< CLIENT_ERROR no hook: larder runs without -o mysql_hook
< CLIENT_ERROR no hook: larder runs without -o mysql_hook
< CLIENT_ERROR no hook: larder runs without -o mysql_hook
< MN

case without a hook there are no figures
> stats hook
< END
