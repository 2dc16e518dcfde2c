#!/bin/sh
# The main job, from a push to a running image, with real parts only: git over HTTP, the signed webhook, the build in
# containers, the embedded registry, skopeo. Everything is on loopback; SLIPWAY_DEMO_PORT moves the ports.
set -eu
cd "$(dirname "$0")/.."

PORT=${SLIPWAY_DEMO_PORT:-8080}
REGISTRY=127.0.0.1:$((PORT + 1))
GIT=127.0.0.1:$((PORT + 2))
HUB=http://127.0.0.1:$PORT
BIN=$PWD/target/release
DEMO=$PWD/target/demo
SECRET=$(openssl rand -hex 20)
PIDS=

say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }
stop() { [ -z "$PIDS" ] || kill $PIDS 2>/dev/null || true; wait 2>/dev/null || true; }
trap stop EXIT
trap 'exit 1' INT TERM

rm -rf "$DEMO" 2>/dev/null || DEMO=$DEMO.$$
mkdir -p "$DEMO/data" "$DEMO/git"

say "slipway serve: webhooks on $HUB, registry on $REGISTRY"
cat > "$DEMO/slipway.toml" <<TOML
[server]
listen = "127.0.0.1:$PORT"
registry_listen = "$REGISTRY"

[[repositories]]
name = "demo/app"
clone_url = "http://$GIT/app.git"
secret = "$SECRET"
image = "$REGISTRY/demo/app"

[[repositories.rules]]
branch = "main"
tags = ["latest", "{sha7}"]
build_args = { BASE = "$REGISTRY/base/busybox" }
TOML
"$BIN/slipway" serve --data-dir "$DEMO/data" --config "$DEMO/slipway.toml" 2> "$DEMO/serve.log" &
SERVER=$!
PIDS=$SERVER
"$BIN/examples/git-server" "$DEMO/git" "$GIT" &
PIDS="$PIDS $!"
for _ in $(seq 100); do curl -fs "$HUB/healthz" > /dev/null && break; sleep 0.1; done
# Another server may listen there and answer in the place of this one.
{ curl -fs "$HUB/healthz" && kill -0 "$SERVER"; } > /dev/null 2>&1 || { cat "$DEMO/serve.log"; exit 1; }

say "a base image from Debian's busybox, built by hand and pushed"
mkdir "$DEMO/base"
cp examples/base/Dockerfile "$(command -v busybox)" "$DEMO/base/"
"$BIN/slipway" build --data-dir "$DEMO/data" --push -t "$REGISTRY/base/busybox" "$DEMO/base"

say "git push"
git init -q --bare -b main "$DEMO/git/app.git"
git -C "$DEMO/git/app.git" config http.receivepack true
cp -r examples/app "$DEMO/work"
git -C "$DEMO/work" init -q -b main
git -C "$DEMO/work" add .
git -C "$DEMO/work" -c user.name=demo -c user.email=demo@example.com commit -qm "The first commit"
git -C "$DEMO/work" push -q "http://$GIT/app.git" main
COMMIT=$(git -C "$DEMO/work" rev-parse HEAD)

say "the delivery that GitHub would send, signed"
printf '{"ref":"refs/heads/main","after":"%s","deleted":false,"head_commit":{"id":"%s","message":"The first commit"},"repository":{"full_name":"demo/app"},"pusher":{"name":"demo"}}' \
    "$COMMIT" "$COMMIT" > "$DEMO/push.json"
SIGNATURE=$(openssl dgst -sha256 -hmac "$SECRET" -hex < "$DEMO/push.json" | sed 's/.* //')
curl -sS -X POST "$HUB/hooks/github" -H 'Content-Type: application/json' -H 'X-GitHub-Event: push' \
    -H "X-GitHub-Delivery: demo-$$" -H "X-Hub-Signature-256: sha256=$SIGNATURE" \
    --data-binary @"$DEMO/push.json" | tee "$DEMO/answer.json"
echo
BUILD=$(sed -n 's/.*"id":"\(bld_[0-9a-f]*\)".*/\1/p' "$DEMO/answer.json")

say "the build, as it runs"
SEEN=0
STATE=queued
while :; do
    STATE=$(curl -fsS "$HUB/v1/builds/$BUILD" | sed 's/.*"state":"\([a-z_]*\)","hub_state".*/\1/')
    curl -fsS "$HUB/v1/builds/$BUILD/logs" > "$DEMO/log.txt"
    tail -c "+$((SEEN + 1))" "$DEMO/log.txt"
    SEEN=$(wc -c < "$DEMO/log.txt")
    case $STATE in queued | preparing | building | pushing) sleep 0.1 ;; *) break ;; esac
done
echo "state: $STATE"
[ "$STATE" = succeeded ]

say "the image, pulled back and run"
skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/demo/app:latest" "dir:$DEMO/image"
mkdir "$DEMO/root"
for LAYER in $(sed -n 's/.*"layers":\[\(.*\)\].*/\1/p' "$DEMO/image/manifest.json" | grep -o 'sha256:[0-9a-f]*' | cut -d: -f2); do
    tar -xzf "$DEMO/image/$LAYER" -C "$DEMO/root" --no-same-owner
done
if [ "$(id -u)" = 0 ]; then chroot --userspec=1000:1000 "$DEMO/root" /usr/bin/serve; else unshare -r chroot "$DEMO/root" /usr/bin/serve; fi

say "done: the build is at $HUB/builds/$BUILD, all builds at $HUB/"
if [ -t 0 ] && [ -z "${CI:-}" ]; then
    printf 'Press Enter to stop slipway. '
    read -r _ || true
fi
