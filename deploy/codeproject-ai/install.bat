:: Called by CodeProject.AI Server's own script, in this folder: ..\..\setup.bat
:: It installs what requirements.txt names; the model is Parley's, so nothing is fetched here.

@if "%1" NEQ "install" (
    echo This script is only called by ..\..\setup.bat
    @goto:eof
)

call "%utilsScript%" WriteLine "LlamaChat asks Parley at the address in modulesettings.json"
