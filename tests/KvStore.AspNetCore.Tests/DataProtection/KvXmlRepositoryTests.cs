using System.Xml.Linq;
using KvStore.AspNetCore.Tests.Adapters;
using KvStore.DataProtection;
using KvStore.TestKit.Persistence;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KvStore.AspNetCore.Tests.DataProtection;

/// <summary>The repository by itself, without the key manager of the framework.</summary>
public sealed class KvXmlRepositoryTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stored_elements_are_returned_as_they_were(bool persisted)
    {
        using var storage = Storage.Of(persisted);
        var element = new XElement("key", new XAttribute("id", Guid.NewGuid()), new XElement("secret", "ä ü 😀 \r\n <&> "));
        await using (var services = ServicesOn(storage))
        {
            var repository = RepositoryIn(services);
            repository.GetAllElements().Should().BeEmpty();
            repository.StoreElement(element, "key-1");
            repository.StoreElement(new XElement("revocation"), "revocation-1");

            repository.GetAllElements().Select(Text).Should().BeEquivalentTo([Text(element), "<revocation />"]);
            KeysIn(services).Should().Equal("keys/key-1", "keys/revocation-1");
        }

        if (persisted)
        {
            await using var restarted = ServicesOn(storage);
            RepositoryIn(restarted).GetAllElements().Select(Text).Should().BeEquivalentTo([Text(element), "<revocation />"]);
        }
    }

    [Fact]
    public async Task Elements_of_one_name_are_both_kept()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var repository = RepositoryIn(services);

        repository.StoreElement(new XElement("first"), "same");
        repository.StoreElement(new XElement("second"), "same");

        repository.GetAllElements().Select(Text).Should().BeEquivalentTo(["<first />", "<second />"]);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("a/b\\c:d")]
    [InlineData("\0\n é 😀")]
    [InlineData("LONE SURROGATE")]
    public async Task Name_of_any_kind_can_be_stored(string? name)
    {
        // Attributes cannot hold texts that are not Unicode.
        name = name?.Replace("LONE SURROGATE", "\ud800");
        await using var services = ServicesOn(Storage.InMemory(), prefix: "");
        var repository = RepositoryIn(services);

        repository.StoreElement(new XElement("key"), name!);
        repository.StoreElement(new XElement("key"), new string('n', 5000));

        repository.GetAllElements().Should().HaveCount(2);
        KeysIn(services).Should().OnlyContain(key => !key.Contains('/'), "a name is no folder");
    }

    [Fact]
    public async Task Elements_are_deleted_in_their_order_and_no_others()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var repository = RepositoryIn(services);
        foreach (var name in new[] { "a", "b", "c", "d" })
        {
            repository.StoreElement(new XElement(name), name);
        }

        var kv = services.GetRequiredKeyedService<IKvExtendedNamespace>("KEYS_KV");
        await using var changes = kv.WatchAsync(new() { Start = KvWatchStart.Current }).GetAsyncEnumerator();
        do
        {
            await changes.MoveNextAsync();
        }
        while (changes.Current.Kind != KvChangeKind.Current);

        repository.DeleteElements(elements =>
        {
            elements.Single(element => element.Element.Name == "c").DeletionOrder = 1;
            elements.Single(element => element.Element.Name == "a").DeletionOrder = 2;
            elements.Single(element => element.Element.Name == "d").DeletionOrder = -5;
        }).Should().BeTrue();

        repository.GetAllElements().Select(Text).Should().Equal("<b />");
        List<string> deleted = [];
        while (deleted.Count < 3)
        {
            await changes.MoveNextAsync();
            changes.Current.Kind.Should().Be(KvChangeKind.Delete);
            deleted.Add(changes.Current.Key!);
        }

        deleted.Should().Equal("keys/d", "keys/c", "keys/a");
    }

    [Fact]
    public async Task Deletion_that_fails_leaves_the_rest_and_is_reported()
    {
        var storage = Storage.OnDisk();
        await using var services = ServicesOn(storage);
        var repository = RepositoryIn(services);
        repository.StoreElement(new XElement("key"), "key-1");
        repository.StoreElement(new XElement("revocation"), "revocation-1");
        _ = new FaultyDisk(storage.Disk, "flush", 1, "Input/output error", isForGood: true);

        repository.DeleteElements(elements =>
        {
            elements.Single(element => element.Element.Name == "key").DeletionOrder = 1;
            elements.Single(element => element.Element.Name == "revocation").DeletionOrder = 2;
        }).Should().BeFalse();

        repository.GetAllElements().Select(Text).Should().Contain("<revocation />", "a key that may still be there stays revoked");
        services.GetRequiredService<LogLines>().Warnings.Should().ContainSingle(line => line.Contains("could not be deleted"));
        await DisposeOnFailedDiskAsync(services);
    }

    [Fact]
    public async Task Failing_disk_throws_when_a_key_is_stored()
    {
        var storage = Storage.OnDisk();
        await using var services = ServicesOn(storage);
        var repository = RepositoryIn(services);
        _ = new FaultyDisk(storage.Disk, "flush", 1, "Input/output error", isForGood: true);

        repository.Invoking(store => store.StoreElement(new XElement("key"), "key-1")).Should().Throw<KvPersistenceException>();

        await DisposeOnFailedDiskAsync(services);
    }

    [Fact]
    public async Task Namespace_that_is_closed_throws_when_keys_are_read()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var repository = RepositoryIn(services);
        await services.GetRequiredKeyedService<KvNamespace>("KEYS_KV").DisposeAsync();

        repository.Invoking(store => store.GetAllElements()).Should().Throw<ObjectDisposedException>();
    }

    [Theory]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task Key_is_on_the_disk_when_the_call_returns(Durability durability)
    {
        var storage = Storage.OnDisk();
        await using var services = ServicesOn(storage, durability: durability);
        var flushes = 0;
        RepositoryIn(services).GetAllElements();
        storage.Disk.BeforeStep = (operation, name) => flushes += operation == "flush" ? 1 : 0;

        RepositoryIn(services).StoreElement(new XElement("key"), "key-1");

        flushes.Should().BePositive();
    }

    [Fact]
    public async Task Entry_that_is_not_xml_throws_without_quoting_it()
    {
        await using var services = ServicesOn(Storage.InMemory());
        await services.GetRequiredKeyedService<IKvNamespace>("KEYS_KV").PutAsync("keys/broken", "<secret>hunter2");

        RepositoryIn(services).Invoking(store => store.GetAllElements()).Should().Throw<InvalidDataException>()
            .Where(e => !e.ToString().Contains("hunter2") && !e.ToString().Contains("<secret"))
            .WithMessage("*\"keys/broken\"*\"KEYS_KV\"*is not XML*");
    }

    [Fact]
    public async Task Document_type_with_entities_is_not_read()
    {
        await using var services = ServicesOn(Storage.InMemory());
        await services.GetRequiredKeyedService<IKvNamespace>("KEYS_KV").PutAsync("keys/k", """<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>""");

        RepositoryIn(services).Invoking(store => store.GetAllElements()).Should().Throw<InvalidDataException>();
    }

    [Fact]
    public async Task Entries_outside_the_prefix_are_not_read()
    {
        await using var services = ServicesOn(Storage.InMemory(), prefix: "mine/");
        await services.GetRequiredKeyedService<IKvNamespace>("KEYS_KV").PutAsync("keys/other", "no XML");
        RepositoryIn(services).StoreElement(new XElement("key"), "key-1");

        RepositoryIn(services).GetAllElements().Should().ContainSingle();
        KeysIn(services).Should().Equal("keys/other", "mine/key-1");
    }

    [Fact]
    public async Task Requests_are_counted_by_operation_and_outcome()
    {
        using var counted = new AdapterRequests("COUNTED_KEYS_KV");
        var services = new ServiceCollection().AddLogging().AddKvNamespace("COUNTED_KEYS_KV");
        services.AddDataProtection().PersistKeysToKvNamespace("COUNTED_KEYS_KV");
        await using var provider = services.BuildServiceProvider();
        var repository = RepositoryIn(provider);

        repository.GetAllElements();
        repository.StoreElement(new XElement("key"), "key-1");
        repository.DeleteElements(static elements => elements.Single().DeletionOrder = 1).Should().BeTrue();
        repository.StoreElement(new XElement("key"), "key-2");
        repository.DeleteElements(elements =>
        {
            elements.Single().DeletionOrder = 1;
            provider.GetRequiredKeyedService<KvNamespace>("COUNTED_KEYS_KV").Dispose();
        }).Should().BeFalse();
        repository.Invoking(r => r.GetAllElements()).Should().Throw<ObjectDisposedException>();
        repository.Invoking(r => r.StoreElement(new XElement("key"), "key-3")).Should().Throw<ObjectDisposedException>();

        counted.Lines.Should().Equal(new[]
        {
            "get ok", "store ok", "get ok", "delete ok", "store ok", "get ok", "delete error", "get error", "store error",
        }.Select(line => $"data_protection {line} 1"));
    }

    private static ServiceProvider ServicesOn(Storage storage, string? prefix = null, Durability durability = Durability.Immediate)
    {
        var services = new ServiceCollection();
        var log = new LogLines();
        services.AddSingleton(log).AddLogging(logging => logging.AddProvider(log));
        storage.AddTo(services, "KEYS_KV", new FilePersistenceOptions { Durability = durability });
        services.AddDataProtection().PersistKeysToKvNamespace("KEYS_KV", prefix);
        return services.BuildServiceProvider();
    }

    private static IDeletableXmlRepository RepositoryIn(IServiceProvider services) =>
        services.GetRequiredService<IOptions<KeyManagementOptions>>().Value.XmlRepository.Should().BeOfType<KvXmlRepository>().Subject;

    private static string[] KeysIn(IServiceProvider services) =>
        [.. services.GetRequiredKeyedService<IKvNamespace>("KEYS_KV").ListAllAsync().ToBlockingEnumerable().Select(key => key.Name)];

    private static string Text(XElement element) => element.ToString(SaveOptions.DisableFormatting);

    private static async Task DisposeOnFailedDiskAsync(ServiceProvider services)
    {
        try
        {
            await services.DisposeAsync();
        }
        catch (KvPersistenceException)
        {
            // The disk of the namespace has failed.
        }
    }
}
