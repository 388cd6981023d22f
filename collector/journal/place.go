package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ErrRemoved is returned by InPlace if the file of the journal is not there any more.
var ErrRemoved = errors.New("its file was removed while it was in use")

// ErrReplaced is returned by InPlace if other files are in the place of the journal's.
var ErrReplaced = errors.New("its files were replaced while it was in use")

// fileSuffixes are behind the names of the files that a journal consists of while it is open.
var fileSuffixes = [...]string{"", logSuffix, "-shm"}

// files are what is at the names of a journal's files.
type files [len(fileSuffixes)]fs.FileInfo

// look returns the files of the journal at path: ErrRemoved without the journal, ErrReplaced without its log.
func look(path string) (found files, err error) {
	for i, suffix := range fileSuffixes {
		found[i], err = os.Stat(path + suffix)
		switch {
		case err == nil:
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
			return found, fmt.Errorf("look at the journal: %w", err)
		case suffix == "":
			return found, fmt.Errorf("journal %s: %w", path, ErrRemoved)
		default:
			return found, fmt.Errorf("journal %s: %w: %s is not there", path, ErrReplaced, path+suffix)
		}
	}
	return found, nil
}

// compare is ErrReplaced if these files are not the ones that were there before.
func (before *files) compare(path string, now files) error {
	for i, suffix := range fileSuffixes {
		if !os.SameFile(before[i], now[i]) {
			return fmt.Errorf("journal %s: %w: %s is another file", path, ErrReplaced, path+suffix)
		}
	}
	return nil
}

// InPlace looks whether the files of the open journal are still those that others find under their names. What is
// recorded into a file without a name is lost when the process ends. ErrRemoved, ErrReplaced; another error if that
// cannot be seen.
func (j *Journal) InPlace() error {
	now, err := look(j.path)
	if err != nil {
		return err
	}
	return j.files.compare(j.path, now)
}

// Rescue writes what the open journal holds to path, as Copy does, wherever its files are by now. After that nothing can
// be recorded any more, because it would not be in the copy: close the journal then. After an error it goes on.
func (j *Journal) Rescue(ctx context.Context, path string) error {
	select {
	case j.writing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	// Another connection would open what is at the name of the file now.
	err := j.copyTo(ctx, j.writer, path)
	if err == nil {
		err = j.dropLog()
	}
	if err != nil {
		<-j.writing
	}
	return err
}

// dropLog removes the log of a journal whose own file was removed or replaced. SQLite would write what is in it into the
// file that is there instead, and so damage that.
func (j *Journal) dropLog() error {
	if info, err := os.Stat(j.path); err == nil && os.SameFile(info, j.files[0]) {
		return nil // closing the journal does what there is to do
	}
	for i, suffix := range fileSuffixes[1:] {
		info, err := os.Stat(j.path + suffix)
		if err != nil || !os.SameFile(info, j.files[i+1]) {
			continue
		}
		if err := os.Remove(j.path + suffix); err != nil {
			return fmt.Errorf("remove the log of the journal that was replaced: %w", err)
		}
	}
	return nil
}
