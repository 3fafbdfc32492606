#!/usr/bin/env bash
# Builds a target of Dockerfile.cuda without a container engine: tests/image/build.sh TARGET OUT [SITE]
#
# The base is made by mmdebstrap, without the documentation that the slim images lack too, the image by buildah in a chroot.
# SITE, a site-packages folder of the same Python, is what CI has installed already: pip finds the dependencies there and
# leaves them out of the image, so that it is small and built in a minute or two; whoever runs it mounts SITE at /opt/site.
# Without SITE they are installed into it.
# The root of the image is put into OUT/TARGET/root, its configuration into OUT/TARGET/config.json; the base and the
# layers that targets have in common are made once for each OUT.
set -euo pipefail
target=$1 out=$(realpath -m "$2") site=${3:-}
cd "$(dirname "$0")/../.."
mkdir -p "$out/$target"
export STORAGE_DRIVER=vfs
store=(--root "$out/store" --runroot "$out/run")
policy=$out/policy.json
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$policy"

if [ ! -e "$out/base.tar" ]; then
  options=(--dpkgopt=force-unsafe-io --aptopt='Acquire::Languages "none"')
  for folder in doc info locale man; do options+=(--dpkgopt="path-exclude=/usr/share/$folder/*"); done
  mmdebstrap --quiet --variant=minbase --include=ca-certificates "${options[@]}" bookworm "$out/base.part.tar"
  mv "$out/base.part.tar" "$out/base.tar"
fi
if ! buildah "${store[@]}" images --quiet localhost/electron-base >/dev/null 2>&1; then
  container=$(buildah "${store[@]}" from scratch)
  # pip takes what it finds there for installed, and does not ask for what the install of CI has taken out again.
  [ -z "$site" ] || buildah "${store[@]}" config --env PYTHONPATH=/opt/site --env PIP_NO_DEPS=1 "$container"
  buildah "${store[@]}" add --quiet "$container" "$out/base.tar" / >/dev/null
  buildah "${store[@]}" commit --quiet --signature-policy "$policy" "$container" localhost/electron-base >/dev/null
  buildah "${store[@]}" rm "$container" >/dev/null
fi
mounts=()
[ -n "$site" ] && mounts=(--volume "$site:/opt/site:ro")
buildah "${store[@]}" bud --layers --isolation chroot --format docker --signature-policy "$policy" --quiet \
  --build-arg BASE=localhost/electron-base --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
  "${mounts[@]}" --target "$target" --file Dockerfile.cuda --tag "localhost/electron-$target" . >"$out/$target/build.log" 2>&1 ||
  { tail -40 "$out/$target/build.log" >&2; exit 1; }
buildah "${store[@]}" inspect --type image "localhost/electron-$target" |
  python3 -c 'import json, sys; json.dump(json.load(sys.stdin)["Docker"]["config"], sys.stdout)' >"$out/$target/config.json"
rm -rf "$out/$target/root" && mkdir "$out/$target/root"
container=$(buildah "${store[@]}" from --signature-policy "$policy" "localhost/electron-$target")
cp -a "$(buildah "${store[@]}" mount "$container")/." "$out/$target/root"
buildah "${store[@]}" rm "$container" >/dev/null
