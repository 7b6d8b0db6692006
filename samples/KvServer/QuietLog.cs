namespace KvServer;

/// <summary>A log of what somebody should see, and of nothing that goes as it should.</summary>
internal static class QuietLog
{
    public static void BeQuiet(this ILoggingBuilder logging)
    {
        logging.SetMinimumLevel(LogLevel.Warning);

        // The keys lie in a directory that only this user reads, as the documentation says.
        logging.AddFilter("Microsoft.AspNetCore.DataProtection", LogLevel.Error);

        // What keeps the server from starting is said in one line of its own.
        logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel", level => level is LogLevel.Warning or LogLevel.Error);
    }
}
