"""Info.plist of the app bundle, from pyproject.toml. Apple's keys: "Core Foundation Keys" and "Launch Services Keys"."""

from __future__ import annotations

from typing import Any

from common.context import Product

OLDEST_SYSTEM = "13.0"
"""What Qt 6.11 runs on."""


def info(product: Product) -> dict[str, Any]:
    """Return Info.plist as a value for plistlib."""
    return {
        "CFBundleDevelopmentRegion": "en",
        "CFBundleDisplayName": product.title,
        "CFBundleDocumentTypes": [
            {
                "CFBundleTypeName": "Files and folders to upload",
                "CFBundleTypeRole": "Viewer",
                "LSHandlerRank": "None",  # may be dropped on the icon; never the program that opens a file
                "LSItemContentTypes": ["public.data", "public.folder"],
            }
        ],
        "CFBundleExecutable": "uphaul-window",
        "CFBundleIconFile": "uphaul.icns",
        "CFBundleIdentifier": product.id,
        "CFBundleInfoDictionaryVersion": "6.0",
        "CFBundleName": product.title,
        "CFBundlePackageType": "APPL",
        "CFBundleShortVersionString": product.version,
        "CFBundleURLTypes": [{"CFBundleURLName": product.id, "CFBundleURLSchemes": [product.scheme]}],
        "CFBundleVersion": product.version,
        "LSApplicationCategoryType": "public.app-category.utilities",
        "LSMinimumSystemVersion": OLDEST_SYSTEM,
        "NSHighResolutionCapable": True,
        "NSHumanReadableCopyright": f"{product.authors}, {product.licence} licence",
    }
