chmod 700 a
chmod 1777 a/b
