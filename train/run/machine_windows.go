package run

import "golang.org/x/sys/windows"

// machineErrors are the operating system's errors that are the machine's, whatever the user gave.
var machineErrors = []error{
	windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED, windows.ERROR_FILE_TOO_LARGE,
	windows.ERROR_IO_DEVICE, windows.ERROR_TOO_MANY_OPEN_FILES, windows.ERROR_NOT_ENOUGH_MEMORY,
}
