#!/bin/bash
# Called by CodeProject.AI Server's own script, in this folder: bash ../../setup.sh
# It installs what requirements.txt names; the model is Parley's, so nothing is fetched here.

if [ "$1" != "install" ]; then
    echo "This script is only called by: bash ../../setup.sh"
    exit 1
fi

writeLine "LlamaChat asks Parley at the address in modulesettings.json" "$color_info"
