#!/usr/bin/env bash
# An OCI image of one of the Debian packages: a bare Debian, the package with what it needs, and nothing else.
#
#   systemd/image/make.sh PACKAGE.deb IMAGE.tar [RELEASE]
#
# RELEASE is a name of Debian's, by default this machine's: the program needs a C library as new as the one that it was
# built with. Debian comes from the mirror that this machine's apt uses. Needs root, debootstrap and buildah; IMAGE.tar is
# an OCI archive, for `podman load` and `skopeo copy`.
set -euo pipefail

package=$(realpath "$1")
name=$(dpkg-deb -f "$package" Package)
out=$(realpath -m "$2")
release=${3:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
base=$(dirname "$out")/debian-$release

mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL) $(COMPONENT)' 'Created-By: Packages' \
  | awk '$2 == "Debian" && $3 == "main" { print $1; exit }')
[ -n "$mirror" ] || { echo "apt of this machine names no mirror of Debian (apt-get indextargets)" >&2; exit 1; }

mkdir -p "$(dirname "$out")"
if [ ! -d "$base" ]; then
  rm -rf "$base.part"
  debootstrap --variant=minbase "$release" "$base.part" "$mirror"
  mv "$base.part" "$base"
fi

container=$(buildah from scratch)
root=$(buildah mount "$container")
leave() { umount "$root/proc" 2>/dev/null || true; buildah rm "$container" >/dev/null; }
trap leave EXIT
cp -a "$base/." "$root"

mount -t proc proc "$root/proc"

# The user's number must not hang on what else is installed: volumes belong to it.
case $name in
  kakou) id=971 run="run --config /etc/kakou/kakou.toml --state /var/lib/kakou" ;;
  kakou-central) id=972 run="run --config /etc/kakou-central/kakou-central.toml" ;;
  *) echo "$package holds $name, which is none of Kakou's packages" >&2; exit 1 ;;
esac
cp "$package" "$root/package.deb"
cp --remove-destination /etc/resolv.conf "$root/etc/resolv.conf"
# No service is started while the image is made.
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
inside() { DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"; }
inside groupadd --system --gid $id "$name"
inside useradd --system --uid $id --gid $id --home-dir "/var/lib/$name" --no-create-home --shell /usr/sbin/nologin "$name"
inside apt-get update -qq
inside apt-get install -y -qq --no-install-recommends /package.deb ca-certificates
inside apt-get clean
rm -rf "$root/package.deb" "$root/usr/sbin/policy-rc.d" "$root"/var/lib/apt/lists/* "$root"/var/log/* \
  "$root"/var/cache/* "$root"/tmp/* "$root/etc/resolv.conf" "$root/etc/machine-id" "$root/etc/hostname"
# Mount points, for a root that cannot be written.
: > "$root/etc/resolv.conf"; : > "$root/etc/hostname"; : > "$root/etc/machine-id"
install -d -m 750 -o $id -g $id "$root/var/lib/$name"
install -d -m 755 "$root/run/secrets"
version=$(dpkg-deb -f "$package" Version)

umount "$root/proc"
buildah umount "$container" >/dev/null
buildah config \
  --user $id:$id --workingdir "/var/lib/$name" --volume "/var/lib/$name" --stop-signal SIGTERM \
  --env PATH=/usr/bin:/bin --env LANG=C.UTF-8 --env KAKOU_LOG=info --env CREDENTIALS_DIRECTORY=/run/secrets \
  --entrypoint "[\"/usr/bin/$name\"]" --cmd "$run" \
  --label "org.opencontainers.image.title=$name" --label "org.opencontainers.image.version=$version" \
  --label org.opencontainers.image.licenses=Apache-2.0 "$container"
rm -f "$out"
buildah commit --quiet --format oci --disable-compression=false "$container" "oci-archive:$out:$name:latest"
ls -lh "$out"
