#!/bin/sh
# Prints the page, or serves it when asked to: serve http
if [ "$1" = http ]; then
    exec httpd -f -p 8000 -h /srv
fi
echo "I am $(id -un)."
cat /srv/index.html
