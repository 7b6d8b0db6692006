using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

// From one file to the next.
internal sealed partial class LogWriter
{
    /// <summary>
    /// Finishes the file and begins the next one, unless the file is empty. Also an empty one directly behind a snapshot: the next
    /// snapshot must not have the number of one that the manifest lists.
    /// </summary>
    /// <returns>The number of the last finished file.</returns>
    public long Roll()
    {
        if (!IsEmpty || (Number > 1 && _manifest.Current.SnapshotNumber == Number - 1))
        {
            PrepareNext();
            try
            {
                _manifest.WithSpace(_finishAndBeginNext);
            }
            catch (Exception) when (!_file.IsFinished)
            {
                // The space that it has may be what was missing.
                _next?.Discard();
                _next = null;
                throw;
            }
        }

        return Number - 1;
    }

    private LogShape NextShape => _shape with { ClosingBytes = _manifest.Current.SpaceBytes };

    // In the relaxed modes it has its space for everything that was acknowledged, and has not been written.
    private void PrepareNext()
    {
        Debug.Assert(_next is null, "It is discarded when this file is not finished.");
        _next = LogFile.Prepare(
            _storage, _spare, _manifest.Directory, Number + 1, NextShape, room: _file.Room == LogRoom.Unlimited ? 0 : Math.Max(_file.Room.Deletes, 0));
    }

    /// <summary>Rolls, or goes on in this file when there is no space for the next one and this one may still be used.</summary>
    /// <returns>Whether it has rolled.</returns>
    private bool TryRoll(bool mustRoll)
    {
        try
        {
            Roll();
            return true;
        }
        catch (Exception e) when (!mustRoll && !_file.IsFinished && !_file.IsTorn && IsPassing(e))
        {
            return false;
        }
    }

    private static bool IsPassing(Exception e) =>
        e is IOException or UnauthorizedAccessException or OutOfMemoryException
        && e is not (FlushFailedException or LogReplacedException or DirectoryLostException);

    private void Finish()
    {
        _file.Flush();
        _file.Finish(HighestRevision);
        if (!_shape.WritesZeros)
        {
            // Zeros stay, because the file becomes a spare.
            _file.ReleaseSpace();
        }

        NoteFinished();
    }

    private void FinishAndBeginNext()
    {
        Finish();
        BeginNext();
    }

    // Takes memory, which may be short; so it is done again before anything that needs it.
    private void NoteFinished()
    {
        Debug.Assert(_file.IsFinished);
        if (!_isFinishNoted)
        {
            _manifest.LogFinished(Number, _file.EndOffset, _file.EndChecksum);
            AllocationProbe.Before();
            _finished(Number, _file.End);
            _isFinishNoted = true;
        }
    }

    private void BeginNext()
    {
        NoteFinished();
        _next ??= LogFile.Prepare(_storage, _spare, _manifest.Directory, Number + 1, NextShape, room: 0);
        _next.Publish();

        // Nothing is written to a log before the manifest lists it.
        _manifest.LogBegun(_next.Header);
        _file.Dispose();
        _file = _next;
        _next = null;
        _isFinishNoted = false;
    }
}
