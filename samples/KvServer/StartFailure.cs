using System.Net.Sockets;
using KvStore;
using Microsoft.Extensions.Options;

namespace KvServer;

/// <summary>Why the server does not start: one line that names the setting and says what to do.</summary>
internal sealed class StartFailure(string message) : Exception(OneLine(message))
{
    /// <summary>What the addresses and secrets are printed to.</summary>
    public const string Output = "standard output";

    /// <summary>Runs an action that fails when a setting is wrong.</summary>
    /// <exception cref="StartFailure">It was impossible.</exception>
    public static void Watch(string setting, Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (Of(setting, e) is { } failure)
        {
            throw failure;
        }
    }

    /// <summary>Runs an asynchronous action that fails when a setting is wrong.</summary>
    public static async Task WatchAsync(string setting, Func<CancellationToken, Task> action)
    {
        try
        {
            await action(CancellationToken.None);
        }
        catch (Exception e) when (Of(setting, e) is { } failure)
        {
            throw failure;
        }
    }

    /// <summary>Refuses settings that would keep the namespaces in another directory than the secrets and sessions.</summary>
    /// <exception cref="StartFailure">There is one.</exception>
    public static void CheckDirectoryIsOurs(IConfiguration configuration)
    {
        foreach (var setting in new[] { "KvCatalog:Persistence:Directory", "KvCatalog:Persistence:Enabled" })
        {
            if (configuration[setting] is not null)
            {
                throw new StartFailure($"{setting}: this server keeps everything in the directory that --data names. Remove the setting, and use --data.");
            }
        }
    }

    private static StartFailure? Of(string setting, Exception e) => setting switch
    {
        "--data" => OfData(e),
        Output => OfOutput(e),
        _ => OfAddress(setting, e),
    };

    private static StartFailure? OfOutput(Exception e) => e is IOException or UnauthorizedAccessException
        ? new($"The standard output cannot be written: {e.Message.TrimEnd('.')}. The addresses and the secrets are printed there: connect it to a terminal, a file or /dev/null.")
        : null;

    private static StartFailure? OfData(Exception e) => e switch
    {
        KvDirectoryLockedException => new($"--data: {e.Message} Stop that process, or name another directory with --data."),
        OptionsValidationException => new(e.Message),
        KvPersistenceException or UnauthorizedAccessException or IOException =>
            new($"--data: {e.Message} Name a directory with --data that this user may write and that holds nothing but the data of a KvServer."),
        _ => null,
    };

    private static StartFailure? OfAddress(string setting, Exception e) => e switch
    {
        { } when SocketErrorOf(e) is SocketError.AddressNotAvailable or SocketError.AddressFamilyNotSupported =>
            new($"{setting}: {e.Message.TrimEnd('.')}. It is no address of this machine. Name one that is, 127.0.0.1 for this machine only, or * for all of them."),
        { } when SocketErrorOf(e) is SocketError.AccessDenied =>
            new($"{setting}: {e.Message.TrimEnd('.')}. This user may not listen there. Name a port of 1024 or more, for example {setting} http://127.0.0.1:8790."),

        // Kestrel's exception for an https address without a certificate has many lines of advice for developers.
        InvalidOperationException when e.Message.Contains("certificate", StringComparison.OrdinalIgnoreCase) =>
            new($"{setting}: an address with https needs a certificate, and none is configured. Set Kestrel:Certificates:Default:Path and Kestrel:Certificates:Default:Password, or name an address with http."),

        // An exception of Kestrel, whose message names the address.
        IOException or SocketException or FormatException or InvalidOperationException or ArgumentException or UriFormatException =>
            new($"{setting}: {e.Message.TrimEnd('.')}. Stop the program that has the address, or name another with {setting}, for example {setting} http://127.0.0.1:8790."),
        _ => null,
    };

    private static SocketError? SocketErrorOf(Exception? e)
    {
        for (; e is not null; e = e.InnerException)
        {
            if (e is SocketException socket)
            {
                return socket.SocketErrorCode;
            }
        }

        return null;
    }

    private static string OneLine(string message) => string.Join(' ', message.Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
}
