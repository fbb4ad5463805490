chmod 755 script.sh
