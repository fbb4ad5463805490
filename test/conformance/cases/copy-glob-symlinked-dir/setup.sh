ln -s d1 d2
