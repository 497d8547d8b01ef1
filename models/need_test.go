package models_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models"
	_ "github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
)

// What a program needs is known before anything is allocated. Models of text and of histories have tests of their own.
func TestMeasure(t *testing.T) {
	for _, name := range models.Registry.Names() {
		m, _ := models.Registry.Default(name)
		if !strings.HasSuffix(reflect.TypeOf(m).PkgPath(), "/ctr") {
			continue
		}
		sc := modeltest.Schema()
		if strings.Contains("shared_bottom mmoe ple esmm", name) {
			sc = modeltest.Labelled()
		}
		t.Run(name, func(t *testing.T) { modeltest.CheckNeed(t, m, sc, models.CompileOptions{Batch: 4096}) })
	}
}
