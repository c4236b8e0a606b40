package layout

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"bale/bundle/commit"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/savelist"
)

// stdout is the path that stands for a stream.
const stdout = "-"

// archiveSink is a tar that becomes a file.
type archiveSink struct {
	*tarSink
	out  *bufio.Writer
	file *commit.File // nil for a stream
}

// NewArchiveSink returns a sink that writes a layout into one file, an
// oci-archive, which is there under its name once it is complete. A file that is
// there already is an error that wraps [fs.ErrExist], unless [Overwrite] is
// given. The path "-" stands for what [Stdout] gives. Unless [Plain] is given,
// engines that know no OCI layouts find the images in the file too ([Hybrid]).
func NewArchiveSink(path string, opts ...Option) (transport.Sink, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	if o.where == "" {
		o.where = "oci-archive:" + path
	}
	if p := savelist.HostPlatform(); o.hybrid == nil && !o.plain {
		o.hybrid = &p
	}
	s := &archiveSink{}
	var w io.Writer
	if path == stdout {
		if o.stdout == nil {
			return nil, fault.Usage("%s: there is no standard output to write to", o.where)
		}
		w = o.stdout
	} else {
		var how []commit.Option
		if o.overwrite {
			how = append(how, commit.Overwrite())
		}
		if s.file, err = commit.Create(path, how...); err != nil {
			return nil, fmt.Errorf("%s: %w", o.where, err)
		}
		w = s.file
	}
	s.out = bufio.NewWriterSize(w, writeBuffer)
	s.tarSink = newTarSink(s.out, o.where, LocalRepository(path), o)
	return s, nil
}

// Commit implements [transport.Sink]: it ends the tar and gives the file its
// name.
func (s *archiveSink) Commit(ctx context.Context, images []transport.Image) error {
	if err := s.tarSink.Commit(ctx, images); err != nil {
		return err
	}
	if err := s.out.Flush(); err != nil {
		return s.fail(fmt.Errorf("write to %s: %w", s.where, err))
	}
	if s.file == nil {
		return nil
	}
	if err := s.file.Commit(ctx); err != nil {
		return s.fail(fmt.Errorf("%s: %w", s.where, err))
	}
	return nil
}

// Close implements [transport.Sink]. Without a Commit there is no file.
func (s *archiveSink) Close() error {
	if s.file != nil {
		s.file.Discard()
	}
	return s.tarSink.Close()
}
