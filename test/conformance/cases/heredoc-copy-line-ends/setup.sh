"$PYTHON" -c "
open('Dockerfile', 'wb').write(b'FROM conformance/base:1\r\nCOPY <<EOF /out\r\none\r\ntwo\r\nEOF\r\n')
"
