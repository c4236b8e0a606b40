"""Writes its input as gzip: gzip.py LEVEL [MEMLEVEL [STRATEGY [WBITS]]], with zlib;
gzip.py LEVEL module [NAME], with the module gzip."""
import sys
import zlib

sys.path = [p for p in sys.path if p != sys.path[0]]  # this is not the module gzip
level, args = int(sys.argv[1]), sys.argv[2:]
data = sys.stdin.buffer.read()
out = sys.stdout.buffer
if args[:1] == ["module"]:
    import gzip

    name = args[1] if len(args) > 1 else ""
    with gzip.GzipFile(filename=name, mode="wb", compresslevel=level, fileobj=out, mtime=1700000000 if name else 0) as z:
        z.write(data)
else:
    memory, strategy, window = [int(a) for a in args] + [8, 0, 15][len(args):]
    z = zlib.compressobj(level, zlib.DEFLATED, 16 + window, memory, strategy)
    for i in range(0, len(data), 65536):
        out.write(z.compress(data[i : i + 65536]))
    out.write(z.flush())
