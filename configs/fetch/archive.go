package fetch

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
)

// extract takes the wanted files, of the origin's folder in an archive, into the entry's. The origin may name archives within the archive,
// each in the one before it. An archive with a name that leads out of it is refused as a whole.
// left counts down what may still be unpacked.
func extract(archive string, o configs.Origin, e configs.Fetch, wanted []string, left *int64) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("is not a zip archive: %w", err)
	}
	defer z.Close()
	members := map[string]*zip.File{}
	for _, m := range z.File {
		if name := strings.TrimSuffix(m.Name, "/"); !filepath.IsLocal(name) || strings.Contains(name, `\`) {
			return fmt.Errorf("the archive names %q, which is outside of it: refused", m.Name)
		}
		members[m.Name] = m
	}
	if len(o.Open) > 0 {
		m := members[o.Open[0]]
		if m == nil {
			return fmt.Errorf("the archive has no %s", o.Open[0])
		}
		next := archive + ".inner"
		defer os.Remove(next)
		if err := take(m, next, "", left); err != nil {
			return err
		}
		o.Open = o.Open[1:]
		return extract(next, o, e, wanted, left)
	}
	var errs []error
	for _, name := range wanted {
		if members[path.Join(o.Folder, name)] == nil {
			errs = append(errs, fmt.Errorf("the archive has no %s", path.Join(o.Folder, name)))
		}
	}
	if len(errs) > 0 {
		return bound.Join(errs...)
	}
	for _, name := range wanted {
		out := filepath.Join(e.To, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(out), 0o777); err != nil {
			return err
		}
		if err := take(members[path.Join(o.Folder, name)], out, e.Files[name], left); err != nil {
			return err
		}
	}
	return nil
}

// take writes a member of an archive to a file, whole or not at all.
func take(m *zip.File, to, sum string, left *int64) error {
	if !m.Mode().IsRegular() {
		return fmt.Errorf("%s: is not a regular file", m.Name)
	}
	r, err := m.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	defer r.Close()
	return atomicfile.Write(to, func(w io.Writer) error {
		h := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(r, *left+1)) // what the archive says of the size need not be true
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		if *left -= n; *left < 0 {
			return fmt.Errorf("%s: the files of the archive have more bytes than max_bytes allows: was it made to fill the disk? "+
				"set max_bytes of the entry if they are as large as that", m.Name)
		}
		if have := hex.EncodeToString(h.Sum(nil)); sum != "" && have != sum {
			return &checksumError{m.Name, have, sum}
		}
		return nil
	})
}
