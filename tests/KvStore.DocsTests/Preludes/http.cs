public abstract class DocumentPrelude : GeneralPrelude
{
    protected DocumentPrelude()
    {
        configuration["KvStore:TokenSha256"] = Convert.ToHexString(System.Security.Cryptography.SHA256.HashData("a token of some length"u8));
        services.AddHealthChecks();
    }
}
