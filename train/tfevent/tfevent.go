// Package tfevent writes scalars to event files, which TensorBoard shows.
package tfevent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of TensorFlow's event.proto and summary.proto that are written.
const (
	eventWallTime    protowire.Number = 1
	eventStep        protowire.Number = 2
	eventFileVersion protowire.Number = 3
	eventSummary     protowire.Number = 5
	eventSessionLog  protowire.Number = 7
	sessionStatus    protowire.Number = 1
	summaryValue     protowire.Number = 1
	valueTag         protowire.Number = 1
	valueSimple      protowire.Number = 2

	sessionStart = 1
	fileVersion  = "brain.Event:2"
)

// Writer appends scalars to one event file. Each is in the file when its call returns. One goroutine at a time may use a Writer.
type Writer struct {
	Path string
	f    *os.File
	now  func() time.Time
	buf  []byte
}

// Create makes a new event file in dir, which must exist. It is called `events.out.tfevents.SECONDS.N`, with the seconds of now and
// the first N that is free, so that a resumed run continues in a file of its own. TensorBoard reads all files of a directory, in the
// order of their names, as one run. The clock now gives the wall time of each event.
func Create(dir string, now func() time.Time) (*Writer, error) {
	base := fmt.Sprintf("events.out.tfevents.%010d.", now().Unix())
	for n := 0; ; n++ {
		path := filepath.Join(dir, base+fmt.Sprint(n))
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o666)
		if errors.Is(err, fs.ErrExist) && n < 10000 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tfevent: %w", err)
		}
		w := &Writer{Path: path, f: f, now: now}
		b := protowire.AppendTag(w.event(0), eventFileVersion, protowire.BytesType)
		if err := w.record(protowire.AppendString(b, fileVersion)); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return w, nil
	}
}

// Restart declares the points of earlier files at step and later steps void. A run that is resumed at step writes it, and
// TensorBoard drops those points.
func (w *Writer) Restart(step int64) error {
	log := protowire.AppendTag(nil, sessionStatus, protowire.VarintType)
	log = protowire.AppendVarint(log, sessionStart)
	b := protowire.AppendTag(w.event(step), eventSessionLog, protowire.BytesType)
	return w.record(protowire.AppendBytes(b, log))
}

// Scalar writes the value of a tag (such as train/loss) at a step, rounded to float32.
func (w *Writer) Scalar(tag string, step int64, value float64) error {
	if !utf8.ValidString(tag) {
		return fmt.Errorf("tfevent: tag %q is not valid UTF-8", tag)
	}
	v := protowire.AppendTag(nil, valueTag, protowire.BytesType)
	v = protowire.AppendString(v, tag)
	v = protowire.AppendTag(v, valueSimple, protowire.Fixed32Type)
	v = protowire.AppendFixed32(v, math.Float32bits(float32(value)))
	s := protowire.AppendTag(nil, summaryValue, protowire.BytesType)
	s = protowire.AppendBytes(s, v)
	b := protowire.AppendTag(w.event(step), eventSummary, protowire.BytesType)
	return w.record(protowire.AppendBytes(b, s))
}

// Close closes the file.
func (w *Writer) Close() error {
	if err := w.f.Close(); err != nil {
		return fmt.Errorf("tfevent: %w", err)
	}
	return nil
}

// event begins an event.
func (w *Writer) event(step int64) []byte {
	b := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(w.now().UnixMicro())/1e6))
	b = protowire.AppendTag(b, eventStep, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(step))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mask is TFRecord's: a checksum that is itself part of checked data would otherwise be a weak one.
func mask(crc uint32) uint32 { return (crc>>15 | crc<<17) + 0xa282ead8 }

// record writes a TFRecord in one call: length, masked CRC-32C of the length, data, masked CRC-32C of the data.
func (w *Writer) record(data []byte) error {
	le := binary.LittleEndian
	b := le.AppendUint64(w.buf[:0], uint64(len(data)))
	b = le.AppendUint32(b, mask(crc32.Checksum(b, castagnoli)))
	b = append(b, data...)
	b = le.AppendUint32(b, mask(crc32.Checksum(data, castagnoli)))
	w.buf = b
	if _, err := w.f.Write(b); err != nil {
		return fmt.Errorf("tfevent: %w", err)
	}
	return nil
}
