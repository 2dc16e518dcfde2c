#!/bin/sh
# Stands for the tools of languages: needs what the real one needs, makes what it makes, and says what it was asked for.
set -e
self=$1 name=${1##*/}
shift
echo "$name $*"
case "$name $*" in
"go mod download"*) grep -q '^module' go.mod && mkdir -p /go/pkg/mod && echo modules > /go/pkg/mod/modules ;;
"go build"*)
    flags=$*
    while [ "$1" != -o ]; do shift; done
    mkdir -p "$(dirname "$2")"
    echo "$GOOS $GOARCH $(ls cmd/*.go) $(cat /go/pkg/mod/modules) ${flags##*-X }" > "$2" && chmod 755 "$2" ;;
"npm ci"* | "npm install"*) mkdir -p node_modules && echo "${NODE_ENV:-all} $(cat package.json) $(cat ~/.npmrc 2>/dev/null | wc -c)" > node_modules/list ;;
"npm run build"*) mkdir -p dist && cat node_modules/list src/index.js > dist/bundle.js ;;
"python -m venv"*) mkdir -p "$3/bin" && cp /usr/local/bin/pip "$3/bin/pip" && echo python > "$3/bin/activate" ;;
"pip install"*) mkdir -p "${self%/bin/pip}/lib" && cat requirements.txt > "${self%/bin/pip}/lib/packages" ;;
"mvn "*) mkdir -p target && cat pom.xml > target/app-1.0.jar ;;
"java -Djarmode=layertools"*) for part in dependencies application; do mkdir -p $part/BOOT-INF && echo $part > $part/BOOT-INF/$part; done ;;
"cargo build"*) mkdir -p target/release && cat Cargo.toml src/main.rs > target/release/app ;;
"composer install"*) mkdir -p vendor && cat composer.json > vendor/autoload.php ;;
"adduser "* | "addgroup "*)
    id=100 home=/home
    while [ $# -gt 1 ]; do
        case $1 in -u | -g) case $2 in [0-9]*) id=$2 ;; esac ;; -h) home=$2 ;; esac
        shift
    done
    case $name in
    adduser) echo "$1:x:$id:$id::$home:/bin/sh" >> /etc/passwd ;;
    addgroup) echo "$1:x:$id:" >> /etc/group ;;
    esac ;;
"apt-get update"*) mkdir -p /var/lib/apt/lists && echo index > /var/lib/apt/lists/index ;;
"apt-get install"*) test -f /var/lib/apt/lists/index && mkdir -p /usr/share/installed && echo "$*" > /usr/share/installed/last ;;
esac
