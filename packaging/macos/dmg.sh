#!/bin/sh
# Packs the app bundle into a disk image with a link to Applications beside it: dmg.sh Uphaul.app Uphaul-1.2.3.dmg "Uphaul"
set -eu

app=${1:?usage: dmg.sh APP OUTPUT NAME}
output=${2:?usage: dmg.sh APP OUTPUT NAME}
name=${3:?usage: dmg.sh APP OUTPUT NAME}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cp -R "$app" "$stage/"
ln -s /Applications "$stage/Applications"
rm -f "$output"
hdiutil create -quiet -volname "$name" -srcfolder "$stage" -fs HFS+ -format ULFO "$output"
hdiutil verify -quiet "$output"
if [ -n "${UPHAUL_SIGN_IDENTITY:-}" ]; then
    codesign --sign "$UPHAUL_SIGN_IDENTITY" --timestamp "$output"
fi
