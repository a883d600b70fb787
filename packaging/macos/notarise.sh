#!/bin/sh
# Has Apple look at the signed disk image, and staples the ticket to it: notarise.sh Uphaul-1.2.3.dmg
# UPHAUL_NOTARY_PROFILE: a profile of the keychain that `xcrun notarytool store-credentials PROFILE` has made.
set -eu

image=${1:?usage: notarise.sh DMG}
profile=${UPHAUL_NOTARY_PROFILE:?UPHAUL_NOTARY_PROFILE names no profile of the keychain (xcrun notarytool store-credentials)}

xcrun notarytool submit "$image" --keychain-profile "$profile" --wait
xcrun stapler staple "$image"
xcrun stapler validate "$image"
spctl --assess --type open --context context:primary-signature --verbose "$image"
