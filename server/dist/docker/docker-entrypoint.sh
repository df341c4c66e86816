#!/bin/sh
# `docker run IMAGE -m 64` is `docker run IMAGE larder -m 64`.
set -e

if [ "${1#-}" != "$1" ]; then
    set -- larder "$@"
fi

exec "$@"
