namespace KvStore.PostgreSql.Tests.Connections;

public sealed class ConnectionStringErrorTests
{
    [Theory]
    [InlineData("Host=h;Port=abc", "the value of port cannot be read")]
    [InlineData("Host=h;SSL Mode=maybe", "the value of ssl mode cannot be read")]
    [InlineData("Host=h;Command Timeout=-5", "the value of command timeout cannot be read or is out of its range")]
    [InlineData("Port=5433;Username=app", "Host is missing")]
    [InlineData("postgresql://app@db:5432/app", "a URI")]
    [InlineData("Host=h;Prot=5433", "a keyword is unknown")]
    [InlineData("nonsense", "a keyword is unknown, has no value")]
    [InlineData("Host=h;Minimum Pool Size=9;Maximum Pool Size=6", "does not go with another one")]
    public async Task Wrong_connection_string_is_refused_with_what_is_wrong(string connectionString, string reason)
    {
        var open = () => KvPostgreSql.OpenAsync("KV", connectionString).AsTask();

        (await open.Should().ThrowAsync<ArgumentException>())
            .WithMessage($"The connection string is not valid: *{reason}*Host=db;Username=app*").WithParameterName(nameof(connectionString));
    }

    [Theory]
    [InlineData("Host=h;Password=secret1;secret2=secret3")]
    [InlineData("Host=h;Password=secret1;secret2")]
    [InlineData("Host=h;Password=secret1;Port=secret2")]
    [InlineData("postgresql://app:secret1@db/app")]
    [InlineData("postgresql://app:secret1@db/app?sslmode=secret2")]
    public async Task Refused_connection_string_is_not_quoted(string connectionString)
    {
        var open = () => KvPostgreSql.OpenAsync("KV", connectionString).AsTask();

        (await open.Should().ThrowAsync<ArgumentException>()).Which.ToString().Should().NotContain("secret");
    }
}
