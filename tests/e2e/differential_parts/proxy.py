"""A proxy that falsifies what a server says or hears: the differential test has to notice."""

import re
import socket
import threading


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes bytes to and from `address`.

    request, reply   called with each piece of bytes on its way to and from the server; what they give is passed on,
                     None closes the connection
    """

    def __init__(self, address, request=None, reply=None):
        self.target = address
        self.request = request or (lambda data: data)
        self.reply = reply or (lambda data: data)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.sockets = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        for sock in self.sockets:
            self._end(sock)

    @staticmethod
    def _end(sock):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was first

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            self.sockets += [client, server]
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ends = threading.Barrier(2, action=lambda pair=(client, server): self._forget(pair))
            for source, sink, change in ((client, server, self.request), (server, client, self.reply)):
                threading.Thread(target=self._pump, args=(source, sink, change, ends), daemon=True).start()

    def _forget(self, pair):
        """Both directions have ended: a long run connects often."""
        for sock in pair:
            self.sockets.remove(sock)
            sock.close()

    def _pump(self, source, sink, change, ends):
        try:
            while True:
                data = source.recv(1 << 16)
                data = change(data) if data else None
                if data is None:
                    break
                sink.sendall(data)
        except OSError:
            pass  # closed under way; the other direction ends below
        self._end(source)
        self._end(sink)
        ends.wait()


def replace_once(old, new, after=0):
    """Replaces the first match of the pattern `old` in a piece that begins behind `after` bytes."""
    state = {"passed": 0, "done": False}
    pattern = re.compile(old, re.DOTALL)

    def change(data):
        state["passed"] += len(data)
        if state["done"] or state["passed"] < after:
            return data
        data, state["done"] = pattern.subn(new, data, count=1)
        return data

    return change


def replace_all(old, new):
    return lambda data: data.replace(old, new)


def close_after(count):
    state = {"left": count}

    def change(data):
        state["left"] -= len(data)
        return data if state["left"] > 0 else None

    return change
