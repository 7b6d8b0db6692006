using KvStore;

namespace KvServer;

/// <summary>
/// A secret of the server. It comes from a setting, or the server creates it, prints it once and stores its hash. The hash is stored
/// after the secret was printed, because a secret that nobody has seen would lock everybody out.
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

    /// <summary>The secret, when it was created in this start; otherwise null.</summary>
    public string? NewSecret { get; }

    /// <summary>Whether the secret comes from the environment.</summary>
    public bool IsGiven { get; }

    /// <summary>Returns the secret of the setting, or the stored one, or a new one.</summary>
    /// <param name="variable">The name of the setting.</param>
    /// <param name="given">The value of the setting; null or empty when it is not set.</param>
    /// <param name="path">The file with the hash.</param>
    /// <param name="newFlag">The flag that requested a new secret; null when it was not given.</param>
    /// <exception cref="StartFailure">The secret cannot be used, or the file cannot be read.</exception>
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

    /// <summary>Stores the hash of a new secret. Call after the secret was printed.</summary>
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
