#!/usr/bin/env bash
# Builds a target of Dockerfile.cuda without a container engine: tests/image/build.sh TARGET OUT [SITE]
#
# The base is made by debootstrap, the image by buildah in a chroot. SITE, a site-packages folder of the same Python, is
# what CI has installed already: pip finds the dependencies there and leaves them out of the image, so that the image is
# small and built in a minute; whoever runs it mounts SITE at /opt/site. Without SITE they are installed into it.
# The root of the image is put into OUT/root, its configuration into OUT/config.json.
set -euo pipefail
target=$1 out=$(realpath -m "$2") site=${3:-}
cd "$(dirname "$0")/../.."
mkdir -p "$out"
export STORAGE_DRIVER=vfs
store=(--root "$out/store" --runroot "$out/run")
policy=$out/policy.json
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$policy"

if [ ! -e "$out/base/etc/debian_version" ]; then
  debootstrap --variant=minbase --include=ca-certificates bookworm "$out/base.part" >"$out/debootstrap.log"
  mv "$out/base.part" "$out/base"
fi
if ! buildah "${store[@]}" images --quiet localhost/electron-base >/dev/null 2>&1; then
  container=$(buildah "${store[@]}" from scratch)
  # pip takes what it finds there for installed, and does not ask for what the install of CI has taken out again.
  [ -z "$site" ] || buildah "${store[@]}" config --env PYTHONPATH=/opt/site --env PIP_NO_DEPS=1 "$container"
  buildah "${store[@]}" add --quiet "$container" "$out/base" / >/dev/null
  buildah "${store[@]}" commit --quiet --signature-policy "$policy" "$container" localhost/electron-base >/dev/null
  buildah "${store[@]}" rm "$container" >/dev/null
fi
mounts=()
[ -n "$site" ] && mounts=(--volume "$site:/opt/site:ro")
buildah "${store[@]}" bud --isolation chroot --format docker --signature-policy "$policy" --quiet \
  --build-arg BASE=localhost/electron-base --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
  "${mounts[@]}" --target "$target" --file Dockerfile.cuda --tag "localhost/electron-$target" . >"$out/build.log" 2>&1 ||
  { tail -40 "$out/build.log" >&2; exit 1; }
buildah "${store[@]}" inspect --type image "localhost/electron-$target" |
  python3 -c 'import json, sys; json.dump(json.load(sys.stdin)["Docker"]["config"], sys.stdout)' >"$out/config.json"
rm -rf "$out/root" && mkdir "$out/root"
container=$(buildah "${store[@]}" from --signature-policy "$policy" "localhost/electron-$target")
cp -a "$(buildah "${store[@]}" mount "$container")/." "$out/root"
buildah "${store[@]}" rm "$container" >/dev/null
