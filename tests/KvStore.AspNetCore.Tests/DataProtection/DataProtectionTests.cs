using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvStore.AspNetCore.Tests.Adapters;
using KvStore.TestKit.Persistence;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace KvStore.AspNetCore.Tests.DataProtection;

/// <summary>Data Protection of the framework on a namespace.</summary>
public sealed class DataProtectionTests
{
    [Fact]
    public async Task Text_protected_before_a_restart_is_unprotected_after_it()
    {
        using var storage = Storage.InDirectory();
        string text;
        await using (var host = await StartAsync(storage))
        {
            text = ProtectorIn(host).Protect("hello");
        }

        await using var restarted = await StartAsync(storage);

        ProtectorIn(restarted).Unprotect(text).Should().Be("hello");
        restarted.Services.GetRequiredService<IKeyManager>().GetAllKeys().Should().ContainSingle("the key was found, and no other was made");
    }

    [Fact]
    public async Task Without_the_namespace_the_text_cannot_be_unprotected()
    {
        string text;
        await using (var host = await StartAsync(Storage.InMemory()))
        {
            text = ProtectorIn(host).Protect("hello");
        }

        await using var other = await StartAsync(Storage.InMemory());

        ProtectorIn(other).Invoking(protector => protector.Unprotect(text)).Should().Throw<CryptographicException>();
    }

    [Fact]
    public async Task Revoked_key_stays_revoked_after_a_restart()
    {
        using var storage = Storage.InDirectory();
        string text;
        await using (var host = await StartAsync(storage))
        {
            text = ProtectorIn(host).Protect("hello");
            var keys = host.Services.GetRequiredService<IKeyManager>();
            keys.RevokeKey(keys.GetAllKeys().Single().KeyId, "stolen");
            KeysIn(host).Should().HaveCount(2).And.OnlyContain(key => key.StartsWith("keys/key-") || key.StartsWith("keys/revocation-"));
        }

        await using var restarted = await StartAsync(storage);

        ProtectorIn(restarted).Invoking(protector => protector.Unprotect(text)).Should().Throw<CryptographicException>().WithMessage("*revoked*");
        restarted.Services.GetRequiredService<IKeyManager>().GetAllKeys().Should().Contain(key => key.IsRevoked);
    }

    [Fact]
    public async Task All_keys_can_be_revoked()
    {
        await using var host = await StartAsync(Storage.InMemory());
        ProtectorIn(host).Protect("hello");
        var keys = host.Services.GetRequiredService<IKeyManager>();
        keys.CreateNewKey(DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddDays(10));

        keys.RevokeAllKeys(DateTimeOffset.UtcNow.AddDays(1), "all of them");

        keys.GetAllKeys().Should().HaveCount(2).And.OnlyContain(key => key.IsRevoked);
    }

    [Fact]
    public async Task Key_manager_deletes_a_key_and_keeps_the_others()
    {
        using var storage = Storage.InDirectory();
        Guid kept;
        await using (var host = await StartAsync(storage))
        {
            var keys = host.Services.GetRequiredService<IKeyManager>().Should().BeOfType<XmlKeyManager>().Subject;
            var deleted = keys.CreateNewKey(DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddDays(10)).KeyId;
            kept = keys.CreateNewKey(DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddDays(90)).KeyId;
            keys.RevokeKey(deleted);
            keys.CanDeleteKeys.Should().BeTrue();

            keys.DeleteKeys(key => key.KeyId == deleted).Should().BeTrue();

            keys.GetAllKeys().Select(key => key.KeyId).Should().Contain(kept).And.NotContain(deleted);
            KeysIn(host).Should().NotContain(key => key.Contains(deleted.ToString()), "its revocation goes with it");
        }

        await using var restarted = await StartAsync(storage);
        restarted.Services.GetRequiredService<IKeyManager>().GetAllKeys().Select(key => key.KeyId).Should().Contain(kept);
    }

    [Fact]
    public async Task Keys_that_are_not_encrypted_are_warned_of_once()
    {
        await using var host = await StartAsync(Storage.InMemory());
        ProtectorIn(host).Protect("hello");
        host.Services.GetRequiredService<IKeyManager>().GetAllKeys();

        host.Log.Warnings.Should().ContainSingle(line => line.Contains("are not encrypted in the KV namespace KEYS_KV") && line.Contains("ProtectKeysWithCertificate"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Keys_that_are_encrypted_are_not_readable_and_not_warned_of(bool encryptorFirst)
    {
        using var rsa = RSA.Create(2048);
        using var certificate = new CertificateRequest("CN=keys", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        using var storage = Storage.InDirectory();
        string text;
        await using (var host = await StartAsync(storage, Register))
        {
            text = ProtectorIn(host).Protect("hello");
            host.Log.Warnings.Should().NotContain(line => line.Contains("not encrypted"));
            var kv = host.Services.GetRequiredKeyedService<IKvNamespace>("KEYS_KV");
            (await kv.GetTextAsync(KeysIn(host).Single())).Should().Contain("encryptedSecret").And.NotContain("<masterKey");
        }

        await using var restarted = await StartAsync(storage, Register);
        ProtectorIn(restarted).Unprotect(text).Should().Be("hello");

        void Register(IServiceCollection services)
        {
            var builder = services.AddDataProtection();
            _ = encryptorFirst
                ? builder.ProtectKeysWithCertificate(certificate).PersistKeysToKvNamespace("KEYS_KV")
                : builder.PersistKeysToKvNamespace("KEYS_KV").ProtectKeysWithCertificate(certificate);
            builder.UnprotectKeysWithAnyCertificate(certificate);
        }
    }

    [Fact]
    public async Task Keys_can_be_used_without_a_host_and_before_it_starts()
    {
        using var storage = Storage.InDirectory();
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        storage.AddTo(builder.Services, "KEYS_KV");
        builder.Services.AddDataProtection().SetApplicationName("tests").PersistKeysToKvNamespace("KEYS_KV");
        using var host = builder.Build();
        var text = host.Services.GetRequiredService<IDataProtectionProvider>().CreateProtector("p").Protect("hello");

        await host.StartAsync();

        host.Services.GetRequiredService<IDataProtectionProvider>().CreateProtector("p").Unprotect(text).Should().Be("hello");
        (await host.Services.GetRequiredKeyedService<IKvNamespace>("KEYS_KV").ListAsync()).Keys.Should().ContainSingle();
        await host.StopAsync();
    }

    [Fact]
    public async Task Failing_disk_makes_protecting_throw()
    {
        var storage = Storage.OnDisk();
        var services = new ServiceCollection().AddLogging();
        storage.AddTo(services, "KEYS_KV");
        services.AddDataProtection().PersistKeysToKvNamespace("KEYS_KV");
        var provider = services.BuildServiceProvider();
        var kv = provider.GetRequiredKeyedService<IKvNamespace>("KEYS_KV");
        _ = new FaultyDisk(storage.Disk, "flush", 1, "Input/output error", isForGood: true);
        await kv.Awaiting(failing => failing.PutAsync("k", "v").AsTask()).Should().ThrowAsync<KvPersistenceException>();

        provider.GetRequiredService<IDataProtectionProvider>().CreateProtector("p").Invoking(protector => protector.Protect("hello"))
            .Should().Throw<Exception>().Which.ToString().Should().Contain(nameof(KvPersistenceException));
    }

    [Fact]
    public async Task Namespace_that_evicts_stops_the_host()
    {
        await FluentActions.Awaiting(() => AdapterHost.StartAsync(services =>
        {
            services.AddKvNamespace("KEYS_KV", kv => kv.LimitMemory(4 << 20, KvMemoryPolicy.Evict));
            services.AddDataProtection().PersistKeysToKvNamespace("KEYS_KV");
        })).Should().ThrowAsync<OptionsValidationException>().WithMessage("PersistKeysToKvNamespace on the KV namespace \"KEYS_KV\"*evicts*");
    }

    [Fact]
    public async Task Namespace_that_is_unknown_stops_the_host()
    {
        await FluentActions.Awaiting(() => AdapterHost.StartAsync(services => services.AddDataProtection().PersistKeysToKvNamespace("KEYS")))
            .Should().ThrowAsync<OptionsValidationException>().WithMessage("*services.AddKvNamespace(\"KEYS\")*");
    }

    [Fact]
    public void Second_call_is_refused() =>
        new ServiceCollection().AddDataProtection().PersistKeysToKvNamespace("KEYS_KV")
            .Invoking(builder => builder.PersistKeysToKvNamespace("OTHER_KV")).Should().Throw<ArgumentException>().WithMessage("*PersistKeysToKvNamespace(\"KEYS_KV\")*");

    [Fact]
    public void Prefix_that_is_too_long_is_refused() =>
        new ServiceCollection().AddDataProtection()
            .Invoking(builder => builder.PersistKeysToKvNamespace("KEYS_KV", new string('p', 257))).Should().Throw<ArgumentException>().WithMessage("*256*");

    private static Task<AdapterHost> StartAsync(Storage storage, Action<IServiceCollection>? register = null) =>
        AdapterHost.StartAsync(services =>
        {
            storage.AddTo(services, "KEYS_KV");
            services.AddDataProtection().SetApplicationName("tests");
            if (register is null)
            {
                services.AddDataProtection().PersistKeysToKvNamespace("KEYS_KV");
            }
            else
            {
                register(services);
            }
        });

    private static IDataProtector ProtectorIn(AdapterHost host) => host.Services.GetRequiredService<IDataProtectionProvider>().CreateProtector("p");

    private static string[] KeysIn(AdapterHost host) =>
        [.. host.Services.GetRequiredKeyedService<IKvNamespace>("KEYS_KV").ListAllAsync().ToBlockingEnumerable().Select(key => key.Name)];
}
