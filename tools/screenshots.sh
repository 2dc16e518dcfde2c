#!/bin/sh
# Pictures of every page in four modes, with what axe finds on them and which overflow: a server with a few builds is
# started on loopback, and a browser goes through its pages. SLIPWAY_BIN is the program, OUT where the pictures go.
set -eu
cd "$(dirname "$0")/.."

PORT=${SLIPWAY_DEMO_PORT:-8180}
REGISTRY=127.0.0.1:$((PORT + 1))
GIT=127.0.0.1:$((PORT + 2))
HUB=http://127.0.0.1:$PORT
BIN=${SLIPWAY_BIN:-$PWD/target/release/slipway}
OUT=${OUT:-$PWD/target/screenshots}
PLACE=$(mktemp -d)
TOKEN=$(openssl rand -hex 20)
PIDS=

# A second signal ends the build that still runs.
stop() { kill $PIDS 2>/dev/null || true; sleep 1; kill $PIDS 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$PLACE" 2>/dev/null || true; }
trap stop EXIT
trap 'exit 1' INT TERM

mkdir -p "$PLACE/data" "$PLACE/git" "$OUT" target/node
[ -d target/node/node_modules/axe-core ] || npm install --silent --no-save --prefix target/node playwright-core axe-core

cat > "$PLACE/slipway.toml" <<TOML
[server]
listen = "127.0.0.1:$PORT"
registry_listen = "$REGISTRY"

[[tokens]]
name = "ada"
token = "$TOKEN"
scopes = ["admin"]

[[repositories]]
name = "team/web"
clone_url = "http://$GIT/app.git"
secret = "$TOKEN"
image = "$REGISTRY/team/web"

[[repositories.rules]]
name = "main"
branch = "main"
tags = ["latest", "{sha7}"]

[[repositories.rules]]
name = "release"
tag = "/^v(.*)\$/"
tags = ["{\\\\1}"]
TOML
"$BIN" serve --data-dir "$PLACE/data" --config "$PLACE/slipway.toml" 2> "$PLACE/serve.log" &
PIDS=$!
"$(dirname "$BIN")/examples/git-server" "$PLACE/git" "$GIT" &
PIDS="$PIDS $!"
for _ in $(seq 100); do curl -fs "$HUB/healthz" > /dev/null && break; sleep 0.1; done

git init -q --bare -b main "$PLACE/git/app.git"
git -C "$PLACE/git/app.git" config http.receivepack true
mkdir "$PLACE/work"
git -C "$PLACE/work" init -q -b main

# Commits what lies in the work tree with a message, delivers the push, and waits for the end of its build.
push() {
    git -C "$PLACE/work" add -A
    git -C "$PLACE/work" -c user.name=ada -c user.email=ada@example.com commit -qm "$1"
    git -C "$PLACE/work" push -q "http://$GIT/app.git" main
    COMMIT=$(git -C "$PLACE/work" rev-parse HEAD)
    printf '{"ref":"refs/heads/main","after":"%s","deleted":false,"head_commit":{"id":"%s","message":"%s"},"repository":{"full_name":"team/web"},"pusher":{"name":"ada"}}' \
        "$COMMIT" "$COMMIT" "$1" > "$PLACE/push.json"
    SIGNATURE=$(openssl dgst -sha256 -hmac "$TOKEN" -hex < "$PLACE/push.json" | sed 's/.* //')
    BUILD=$(curl -sS -X POST "$HUB/hooks/github" -H 'Content-Type: application/json' -H 'X-GitHub-Event: push' \
        -H "X-GitHub-Delivery: $COMMIT" -H "X-Hub-Signature-256: sha256=$SIGNATURE" --data-binary @"$PLACE/push.json" |
        sed -n 's/.*"id":"\(bld_[0-9a-f]*\)".*/\1/p')
    for _ in $(seq 300); do
        curl -fsS "$HUB/v1/builds/$BUILD" | grep -q '"finished_at":null' || break
        sleep 0.2
    done
}

cd "$PLACE/work"
cp "$(command -v busybox)" busybox
mkdir -p files lib
printf 'P:busybox\nV:1.36.1-r0\n\nP:zlib\nV:1.3-r0\n' > installed
printf '#!/bin/sh\necho served\n' > files/serve
cat > Dockerfile <<'DOCKERFILE'
FROM scratch AS tools
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ENV PATH=/bin MODE=slow
RUN echo compiling; sleep 1; seq 4000; mkdir /out; dd if=/dev/urandom of=/out/app bs=1k count=600 2>&1

FROM tools
COPY installed /lib/apk/db/installed
COPY files/ /srv/
COPY --from=tools /out/app /usr/bin/app
USER 1000
EXPOSE 8080
ENTRYPOINT ["/srv/serve"]
DOCKERFILE
push "Serve the first page"
head -c 700000 /dev/urandom > files/picture.jpg
printf 'P:busybox\nV:1.36.1-r2\n\nP:zlib\nV:1.3-r0\n\nP:git\nV:2.45.2-r0\n' > installed
sed -i 's/MODE=slow/MODE=fast/' Dockerfile
push "Add a picture to the first page"
sed -i 's/^USER 1000/RUN echo "error: cannot find module cart" >\&2; exit 1\nUSER 1000/' Dockerfile
push "Check the cart"
FAILED=$BUILD
sed -i '/cannot find module/d' Dockerfile
rm files/picture.jpg
push "Handle empty carts without a panic"
sed -i 's/^USER 1000/RUN echo waiting for the tests; sleep 600\nUSER 1000/' Dockerfile
git add -A
git -c user.name=ada -c user.email=ada@example.com commit -qm "Wait for the tests"
git push -q "http://$GIT/app.git" main
ask() { curl -fsS -X POST -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d "$2" "$HUB$1" > /dev/null; }
ask /v1/repos/team/web/builds '{"ref":"main"}'
ask /v1/repos/team/web/builds '{"ref":"main"}'
sleep 3
ask /v1/repos "{\"name\":\"team/api\",\"clone_url\":\"http://$GIT/app.git\",\"image\":\"$REGISTRY/team/api\"}"
curl -fsS -X DELETE "http://$REGISTRY/v2/team/web/manifests/$(printf '%s' "$COMMIT" | cut -c1-7)" > /dev/null
cd "$OLDPWD"
NODE_PATH=target/node/node_modules node tools/screenshots.cjs "$HUB" "$TOKEN" "$BUILD" "$FAILED" "$OUT"
