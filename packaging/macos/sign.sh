#!/bin/sh
# Signs the app bundle from the inside out: sign.sh Uphaul.app
# UPHAUL_SIGN_IDENTITY: a "Developer ID Application" certificate of the keychain. Without it the signature is ad hoc: the
# program then runs on the Mac that made it, and elsewhere only for people who allow it in the system's settings.
set -eu

app=${1:?usage: sign.sh APP}
identity=${UPHAUL_SIGN_IDENTITY:--}
here=$(cd "$(dirname "$0")" && pwd)

sign() {
    if [ "$identity" = - ]; then
        codesign --force --sign - --entitlements "$here/entitlements.plist" "$@"
    else
        codesign --force --sign "$identity" --timestamp --options runtime --entitlements "$here/entitlements.plist" "$@"
    fi
}

find "$app/Contents" -type f \( -name '*.so' -o -name '*.dylib' \) -print | sort | while IFS= read -r library; do
    sign "$library"
done
find "$app/Contents/Frameworks" -type d -name '*.framework' -prune -print | sort | while IFS= read -r framework; do
    sign "$framework"
done
for program in "$app"/Contents/MacOS/*; do
    sign "$program"
done
sign "$app"
codesign --verify --deep --strict "$app"
