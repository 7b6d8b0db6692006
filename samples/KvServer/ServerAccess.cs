using KvStore;

namespace KvServer;

/// <summary>The token of the server: the one it is given, or one that it makes at its first start, of which it keeps the hash.</summary>
internal sealed record ServerAccess(KvToken Token, string? NewSecret, bool IsGiven)
{
    public static ServerAccess Open(string data, string? given)
    {
        if (!string.IsNullOrEmpty(given))
        {
            return new ServerAccess(KvToken.FromSecret(given), NewSecret: null, IsGiven: true);
        }

        Directory.CreateDirectory(data);
        var path = Path.Combine(data, "token.sha256");
        if (File.Exists(path))
        {
            return new ServerAccess(KvToken.FromHash(File.ReadAllText(path).Trim()), NewSecret: null, IsGiven: false);
        }

        var secret = KvToken.NewSecret();
        var token = KvToken.FromSecret(secret);
        File.WriteAllText(path, token.ToHash());
        return new ServerAccess(token, secret, IsGiven: false);
    }
}
