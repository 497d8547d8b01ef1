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

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
)

// extract takes the wanted files, of the folder of an archive, into the folder to. inner are archives within the archive, each
// in the one before it. An archive with a name that leads out of it is refused as a whole.
func extract(archive string, inner []string, folder, to string, sums map[string]string, wanted []string) error {
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
	if len(inner) > 0 {
		m := members[inner[0]]
		if m == nil {
			return fmt.Errorf("the archive has no %s", inner[0])
		}
		next := archive + ".inner"
		defer os.Remove(next)
		if err := take(m, next, ""); err != nil {
			return err
		}
		return extract(next, inner[1:], folder, to, sums, wanted)
	}
	var errs []error
	for _, name := range wanted {
		if members[path.Join(folder, name)] == nil {
			errs = append(errs, fmt.Errorf("the archive has no %s", path.Join(folder, name)))
		}
	}
	if len(errs) > 0 {
		return bound.Join(errs...)
	}
	for _, name := range wanted {
		out := filepath.Join(to, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(out), 0o777); err != nil {
			return err
		}
		if err := take(members[path.Join(folder, name)], out, sums[name]); err != nil {
			return err
		}
	}
	return nil
}

// take writes a member of an archive to a file, whole or not at all.
func take(m *zip.File, to, sum string) error {
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
		if _, err := io.Copy(io.MultiWriter(w, h), r); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		if have := hex.EncodeToString(h.Sum(nil)); sum != "" && have != sum {
			return &checksumError{m.Name, have, sum}
		}
		return nil
	})
}
