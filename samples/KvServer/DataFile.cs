namespace KvServer;

/// <summary>Small files of the data directory that only this user can read.</summary>
internal static class DataFile
{
    /// <summary>Replaces a file as a whole: writes a temporary file, flushes it, and renames it. A crash leaves the old content or the
    /// new one.</summary>
    public static void Write(string path, string text)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        var beside = path + ".new";
        File.Delete(beside);
        using (var file = new FileStream(beside, options))
        {
            file.Write(System.Text.Encoding.UTF8.GetBytes(text));
            file.Flush(flushToDisk: true);
        }

        File.Move(beside, path, overwrite: true);
    }
}
