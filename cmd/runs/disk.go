package main

import (
	"context"

	"github.com/splice-ml/splice/cmd/internal/app"
)

// disk prints what runs and caches take.
func (o *options) disk(_ context.Context, _ *app.Command, _ []string) error { return nil }
