namespace KvServer;

/// <summary>A log of warnings and errors.</summary>
internal static class QuietLog
{
    public static void BeQuiet(this ILoggingBuilder logging)
    {
        logging.SetMinimumLevel(LogLevel.Warning);

        // A warning about unencrypted keys. They are in a directory that only this user can read, as the documentation says.
        logging.AddFilter("Microsoft.AspNetCore.DataProtection", LogLevel.Error);

        // A failure to start is printed as one line by the server itself.
        logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel", level => level is LogLevel.Warning or LogLevel.Error);
    }
}
