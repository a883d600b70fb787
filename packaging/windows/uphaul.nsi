; The Windows installer, for one person, without administrator's rights. windows/build.py gives all ${...} names of the
; product, and files.nsh with one line for each file: what was installed is known by name, and nothing else is ever removed.
;
; Settings, journal and the embedded server's data are in %LOCALAPPDATA%\uphaul. Nothing here touches that folder.
;
; Silent: uphaul-VERSION-setup.exe /S [/D=C:\folder]   uninstall.exe /S
; Exit codes: 0 done, 1 cancelled, 2 failed, 3 Uphaul is running, 4 a newer version is installed, 5 this Windows is too old

Unicode true
!ifdef TARGET ; amd64-unicode, where makensis has it: for Wine without 32 bit, in the tests
  Target ${TARGET}
!endif
SetCompressor /SOLID lzma
ManifestDPIAware true
ManifestLongPathAware true
ManifestSupportedOS Win10
RequestExecutionLevel user
AllowSkipFiles off
CRCCheck force

!include MUI2.nsh
!include FileFunc.nsh
!include LogicLib.nsh
!include WinVer.nsh
!include WordFunc.nsh
!include x64.nsh
!include "${FILES}"

!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\${TITLE}"
!define CLASS "Software\Classes\${SCHEME}"
!define RUN "Software\Microsoft\Windows\CurrentVersion\Run"
!define APP_PATHS "Software\Microsoft\Windows\CurrentVersion\App Paths"
!define WINDOW "$INSTDIR\uphaul-window.exe"
!define IS_RUNNING 3
!define IS_NEWER 4
!define IS_TOO_OLD 5

Name "${TITLE}"
OutFile "${OUTPUT}"
InstallDir "$LOCALAPPDATA\Programs\${TITLE}"
InstallDirRegKey HKCU "${UNINSTALL}" "InstallLocation"
BrandingText "${TITLE} ${VERSION}"
VIProductVersion "${VERSION}.0"
VIFileVersion "${VERSION}.0"
VIAddVersionKey "ProductName" "${TITLE}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "FileDescription" "Installs ${TITLE}"
VIAddVersionKey "CompanyName" "${PUBLISHER}"
VIAddVersionKey "LegalCopyright" "${LICENCE}"

!ifdef SIGN ; a command that signs the file it is given; the uninstaller is a program of its own
  !finalize '${SIGN} "%1"' = 0
  !uninstfinalize '${SIGN} "%1"' = 0
!endif

!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
!define MUI_FINISHPAGE_RUN "${WINDOW}"
!define MUI_FINISHPAGE_RUN_TEXT "Open ${TITLE}"
!define MUI_COMPONENTSPAGE_NODESC
!insertmacro MUI_PAGE_COMPONENTS
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"

; A program that runs cannot be opened for writing. Its uploads go on where they stopped when it is opened again.
!macro UntilClosed PROGRAM
  ${DoWhile} ${FileExists} "${PROGRAM}"
    ClearErrors
    FileOpen $0 "${PROGRAM}" a
    ${IfNot} ${Errors}
      FileClose $0
      ${ExitDo}
    ${EndIf}
    ${If} ${Cmd} `MessageBox MB_RETRYCANCEL|MB_ICONEXCLAMATION "${TITLE} is running. Quit it, then try again. Its uploads go on where they stopped when it is opened again." /SD IDCANCEL IDCANCEL`
      SetErrorLevel ${IS_RUNNING}
      Quit
    ${EndIf}
  ${Loop}
!macroend

!macro ProgramIsClosed
  !insertmacro UntilClosed "$INSTDIR\uphaul-window.exe"
  !insertmacro UntilClosed "$INSTDIR\uphaul.exe"
!macroend

Function .onInit
  ${If} ${IsNativeIA32}
  ${OrIfNot} ${AtLeastWin10}
    MessageBox MB_OK|MB_ICONSTOP "${TITLE} needs Windows 10 or later, 64 bit." /SD IDOK
    SetErrorLevel ${IS_TOO_OLD}
    Quit
  ${EndIf}
  ReadRegStr $1 HKCU "${UNINSTALL}" "DisplayVersion"
  ${If} $1 != ""
    ${VersionCompare} "$1" "${VERSION}" $0
    ${If} $0 == 1
      ${If} ${Cmd} `MessageBox MB_YESNO|MB_ICONEXCLAMATION|MB_DEFBUTTON2 "${TITLE} $1 is installed, which is newer. An older version may not be able to read what it has written. Install ${VERSION} all the same?" /SD IDNO IDNO`
        SetErrorLevel ${IS_NEWER}
        Quit
      ${EndIf}
    ${EndIf}
  ${EndIf}
FunctionEnd

Section "${TITLE}" Program
  SectionIn RO
  !insertmacro ProgramIsClosed
  ; An upgrade in place: the version that is there takes its own files away, by name, and leaves what a person has chosen.
  ReadRegStr $1 HKCU "${UNINSTALL}" "InstallLocation"
  ${If} $1 == $INSTDIR
  ${AndIf} ${FileExists} "$INSTDIR\uninstall.exe"
    ExecWait '"$INSTDIR\uninstall.exe" /S /UPGRADE _?=$INSTDIR' $0
    ${If} $0 <> 0
      MessageBox MB_OK|MB_ICONSTOP "The version that is installed could not be taken away. Restart Windows, then try again." /SD IDOK
      SetErrorLevel 2
      Quit
    ${EndIf}
  ${EndIf}
  SetOverwrite on
  !insertmacro InstallFiles
  SetOutPath "$INSTDIR"
  WriteUninstaller "$INSTDIR\uninstall.exe"

  CreateShortCut "$SMPROGRAMS\${TITLE}.lnk" "${WINDOW}" "" "${WINDOW}" 0 SW_SHOWNORMAL "" "${SUMMARY}"

  WriteRegStr HKCU "${CLASS}" "" "URL:${TITLE}"
  WriteRegStr HKCU "${CLASS}" "URL Protocol" ""
  WriteRegStr HKCU "${CLASS}\DefaultIcon" "" "${WINDOW},0"
  WriteRegStr HKCU "${CLASS}\shell\open\command" "" '"${WINDOW}" "%1"'
  WriteRegStr HKCU "${APP_PATHS}\uphaul.exe" "" "$INSTDIR\uphaul.exe"
  WriteRegStr HKCU "${APP_PATHS}\uphaul.exe" "Path" "$INSTDIR"

  WriteRegStr HKCU "${UNINSTALL}" "DisplayName" "${TITLE}"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayIcon" "${WINDOW},0"
  WriteRegStr HKCU "${UNINSTALL}" "Publisher" "${PUBLISHER}"
  WriteRegStr HKCU "${UNINSTALL}" "URLInfoAbout" "${HOMEPAGE}"
  WriteRegStr HKCU "${UNINSTALL}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${UNINSTALL}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${UNINSTALL}" "EstimatedSize" ${SIZE_KIB}
  WriteRegDWORD HKCU "${UNINSTALL}" "NoModify" 1
  WriteRegDWORD HKCU "${UNINSTALL}" "NoRepair" 1
SectionEnd

Section "“Send to” in the Explorer" SendTo
  CreateShortCut "$SENDTO\${TITLE}.lnk" "${WINDOW}" "" "${WINDOW}" 0 SW_SHOWNORMAL "" "${SUMMARY}"
SectionEnd

Section /o "Open when I sign in" Autostart
  WriteRegStr HKCU "${RUN}" "${TITLE}" '"${WINDOW}" --hidden' ; as Uphaul's own settings write it
SectionEnd

Function un.onInit
  !insertmacro ProgramIsClosed
FunctionEnd

Section "Uninstall"
  !insertmacro RemoveFiles
  ${GetParameters} $0
  ClearErrors
  ${GetOptions} $0 "/UPGRADE" $1
  ${IfNot} ${Errors}
    Return ; the newer version writes the rest anew; what a person has added, such as the start at sign-in, stays
  ${EndIf}
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR" ; only if it is empty
  Delete "$SMPROGRAMS\${TITLE}.lnk"
  Delete "$SENDTO\${TITLE}.lnk"
  DeleteRegValue HKCU "${RUN}" "${TITLE}"
  DeleteRegKey HKCU "${CLASS}"
  DeleteRegKey HKCU "${APP_PATHS}\uphaul.exe"
  DeleteRegKey HKCU "${UNINSTALL}"
SectionEnd
