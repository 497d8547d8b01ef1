package run_test

import "golang.org/x/sys/windows"

var fullDisk = windows.ERROR_DISK_FULL
