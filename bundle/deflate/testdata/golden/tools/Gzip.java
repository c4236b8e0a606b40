import java.io.IOException;
import java.io.OutputStream;
import java.util.zip.GZIPOutputStream;

/** Writes its input as gzip: java Gzip.java LEVEL, where -1 is Java's default. */
class Gzip extends GZIPOutputStream {
    Gzip(OutputStream out, int level) throws IOException {
        super(out);
        def.setLevel(level);
    }

    public static void main(String[] args) throws IOException {
        try (OutputStream out = new Gzip(System.out, Integer.parseInt(args[0]))) {
            System.in.transferTo(out);
        }
    }
}
