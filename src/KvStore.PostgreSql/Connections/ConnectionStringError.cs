namespace KvStore.PostgreSql.Connections;

/// <summary>Says what is wrong with a connection string, and quotes no part of it: a semicolon in a password makes its rest look like a keyword.</summary>
internal static class ConnectionStringError
{
    private const string Form = "It has the form Host=db;Username=app;Password=...;Database=app";

    /// <summary>What is wrong.</summary>
    /// <param name="connectionString">The connection string.</param>
    /// <param name="failure">What the driver says.</param>
    public static string Describe(string connectionString, ArgumentException failure) => $"The connection string is not valid: {Reason(connectionString, failure)}. {Form}.";

    private static string Reason(string connectionString, ArgumentException failure)
    {
        if (connectionString.Contains("://", StringComparison.Ordinal) && !connectionString.Contains('=', StringComparison.Ordinal))
        {
            return "it is a URI, which Npgsql does not read";
        }

        // The driver names the setting that is missing, and the keyword whose value it cannot read, where it knows the keyword.
        return failure switch
        {
            ArgumentNullException { ParamName: { } name } => $"{name} is missing",
            { ParamName: { } name, InnerException: not (null or KeyNotFoundException) } => $"the value of {name} cannot be read or is out of its range",
            _ => "a keyword is unknown, has no value or does not go with another one",
        };
    }
}
