package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/registry"
)

const module = "github.com/splice-ml/splice"

// Files that docgen writes, relative to the root of the repository.
const (
	jsonPath = "configs/reference.json"
	pagePath = "docs/config.md"
)

// generate returns the contents of jsonPath and pagePath.
func generate(root string) (ref, page []byte, err error) {
	docs, err := readDocs(root)
	if err != nil {
		return nil, nil, err
	}
	if ref, err = json.MarshalIndent(docs, "", "\t"); err != nil {
		return nil, nil, fmt.Errorf("docgen: %w", err)
	}
	text, err := renderPage(docs)
	if err != nil {
		return nil, nil, err
	}
	return append(ref, '\n'), []byte(text), nil
}

// readDocs returns the comments of every option struct; an option without one is an error.
func readDocs(root string) (map[string]configs.TypeDoc, error) {
	types := map[reflect.Type]bool{}
	collect(reflect.TypeFor[configs.Experiment](), types)
	for _, k := range registry.Kinds() {
		for _, n := range k.Names {
			collect(reflect.TypeOf(k.Default(n)), types)
		}
	}
	byDir := map[string][]string{} // directory -> names of types
	for t := range types {
		if dir, ok := strings.CutPrefix(t.PkgPath(), module+"/"); ok && t.Name() != "" {
			byDir[dir] = append(byDir[dir], t.Name())
		}
	}
	docs := map[string]configs.TypeDoc{}
	for dir, names := range byDir {
		found, err := parseDir(filepath.Join(root, filepath.FromSlash(dir)), names)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			docs[module+"/"+dir+"."+n] = found[n]
		}
	}
	var missing []string
	for t := range types {
		for f := range t.Fields() {
			tag, ok := f.Tag.Lookup("yaml")
			if !ok || tag == "-" || strings.Contains(tag, ",inline") || !f.IsExported() {
				continue
			}
			if docs[configs.TypeKey(t)].Fields[f.Name] == "" {
				missing = append(missing,
					fmt.Sprintf("%s.%s: the option needs a comment, above it or at the end of its line", configs.TypeKey(t), f.Name))
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("docgen: %s", strings.Join(missing, "\n"))
	}
	return docs, nil
}

// collect adds the structs that a type's options consist of.
func collect(t reflect.Type, into map[reflect.Type]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		collect(t.Elem(), into)
	case reflect.Struct:
		if into[t] || !strings.HasPrefix(t.PkgPath(), module+"/") {
			return
		}
		into[t] = true
		for field := range t.Fields() {
			if tag, ok := field.Tag.Lookup("yaml"); ok && tag != "-" {
				collect(field.Type, into)
			}
		}
	}
}

// parseDir returns the documentation of the named structs of a package.
func parseDir(dir string, names []string) (map[string]configs.TypeDoc, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("docgen: %w", err)
	}
	out := map[string]configs.TypeDoc{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, f.Name()), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("docgen: %w", err)
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				ts := s.(*ast.TypeSpec)
				st, ok := ts.Type.(*ast.StructType)
				if !ok || !slices.Contains(names, ts.Name.Name) {
					continue
				}
				doc := ts.Doc
				if doc == nil {
					doc = g.Doc
				}
				out[ts.Name.Name] = configs.TypeDoc{Doc: paragraph(doc), Fields: fieldDocs(st)}
			}
		}
	}
	return out, nil
}

func fieldDocs(st *ast.StructType) map[string]string {
	out := map[string]string{}
	for _, f := range st.Fields.List {
		c := f.Comment
		if c == nil {
			c = f.Doc
		}
		for _, n := range f.Names {
			if text := paragraph(c); text != "" {
				out[n.Name] = text
			}
		}
	}
	return out
}

// paragraph returns the first paragraph of a comment on one line.
func paragraph(c *ast.CommentGroup) string {
	first, _, _ := strings.Cut(c.Text(), "\n\n")
	return strings.Join(strings.Fields(first), " ")
}
