#!/bin/sh
# Debian packages that the tests (or with "bench": the benches) drive as independent peers. Root on Debian: install what
# is missing. Elsewhere: name it once; the tests that need it fail, they do not hide, and a bench leaves its column out.
set -u
needed=""
command -v sipp >/dev/null 2>&1 || needed="$needed sip-tester"
command -v multimon-ng >/dev/null 2>&1 || needed="$needed multimon-ng"
command -v espeak-ng >/dev/null 2>&1 || needed="$needed espeak-ng"
command -v npm >/dev/null 2>&1 || needed="$needed nodejs npm"
command -v keytool >/dev/null 2>&1 || needed="$needed default-jre-headless"
command -v softhsm2-util >/dev/null 2>&1 || needed="$needed softhsm2"
command -v flite >/dev/null 2>&1 || needed="$needed flite"
command -v chromium >/dev/null 2>&1 || needed="$needed chromium fonts-dejavu-core"
command -v curl >/dev/null 2>&1 || needed="$needed curl"
command -v openssl >/dev/null 2>&1 || needed="$needed openssl"
command -v cc >/dev/null 2>&1 || needed="$needed gcc libc6-dev"
ldconfig -p 2>/dev/null | grep -q libseccomp.so.2 || [ -e /usr/lib/x86_64-linux-gnu/libseccomp.so.2 ] || needed="$needed libseccomp2"
ldconfig -p 2>/dev/null | grep -q libspandsp.so.2 || [ -e /usr/lib/x86_64-linux-gnu/libspandsp.so.2 ] || needed="$needed libspandsp2"
if [ "${1:-test}" = bench ]; then
  # Public recordings are fetched by bench/public_audio.py, without installing them.
  command -v rtpengine >/dev/null 2>&1 || needed="$needed rtpengine-daemon"
fi
[ -z "$needed" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "[packages] installing$needed"
  log=$(mktemp)
  if apt-get update -qq >"$log" 2>&1 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $needed >>"$log" 2>&1; then
    rm -f "$log"
    exit 0
  fi
  tail -n 5 "$log"
fi
echo "[packages] missing:$needed. What needs them will fail or be left out. On Debian: sudo apt-get install$needed"
