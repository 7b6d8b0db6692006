using KvStore;

namespace KvServer;

/// <summary>
/// A secret of the server: the one it is given, or one that it makes and shows once, of which it keeps the hash. The hash is
/// kept after the secret was shown: one that nobody has seen would keep everybody out.
/// </summary>
internal sealed class ServerSecret
{
    private readonly string _path;

    private ServerSecret(KvToken token, string? newSecret, bool isGiven, string path)
    {
        Token = token;
        NewSecret = newSecret;
        IsGiven = isGiven;
        _path = path;
    }

    public KvToken Token { get; }

    /// <summary>The secret that was made just now; null when it was not.</summary>
    public string? NewSecret { get; }

    /// <summary>Whether it comes from the environment.</summary>
    public bool IsGiven { get; }

    /// <summary>Takes a secret that was given, or the one that is kept, or makes one.</summary>
    /// <param name="variable">The name of the setting that gives it.</param>
    /// <param name="given">What that says; null or empty for nothing.</param>
    /// <param name="path">The file with the hash.</param>
    /// <param name="newFlag">The flag that asked for a new one; null when it was not there.</param>
    /// <exception cref="StartFailure">It cannot be used, or the file cannot be read.</exception>
    public static ServerSecret Read(string variable, string? given, string path, string? newFlag)
    {
        if (!string.IsNullOrEmpty(given))
        {
            return newFlag is null
                ? new ServerSecret(TokenOf(variable, given), newSecret: null, isGiven: true, path)
                : throw new StartFailure($"{newFlag}: {variable} is set, so no secret is made. Leave out one of them.");
        }

        if (newFlag is null && KeptIn(path) is { } kept)
        {
            return new ServerSecret(kept, newSecret: null, isGiven: false, path);
        }

        var secret = KvToken.NewSecret();
        return new ServerSecret(KvToken.FromSecret(secret), secret, isGiven: false, path);
    }

    /// <summary>Keeps the hash of a new secret, once it was shown.</summary>
    public void Keep()
    {
        if (NewSecret is not null)
        {
            StartFailure.Watch("--data", () => DataFile.Write(_path, Token.ToHash()));
        }
    }

    private static KvToken TokenOf(string variable, string given)
    {
        try
        {
            return KvToken.FromSecret(given);
        }
        catch (ArgumentException)
        {
            throw new StartFailure($"{variable} has {given.Length} characters and must have 16 to 512, printable ASCII without spaces. Set another, or unset it to have one made.");
        }
    }

    private static KvToken? KeptIn(string path)
    {
        try
        {
            return File.Exists(path) ? KvToken.FromHash(File.ReadAllText(path).Trim()) : null;
        }
        catch (ArgumentException)
        {
            throw new StartFailure($"--data: {path} holds no hash of 64 hexadecimal digits. Delete it to have a new secret made.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StartFailure($"--data: {e.Message} Let this user read {path}, or name another directory with --data.");
        }
    }
}
