using System.Collections.Concurrent;
using System.Diagnostics;
using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Feed;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Feed;

/// <summary>What the loop that asks for the writes of others says of their age, compared with timestamps of the test.</summary>
public sealed class FeedLoopTests : IAsyncDisposable
{
    private readonly HeldSource _source = new();
    private readonly ModelHost _host = new();
    private readonly ConcurrentQueue<TimeSpan> _lags = [];
    private readonly NpgsqlDataSource _nowhere = NpgsqlDataSource.Create("Host=127.0.0.1;Port=1");
    private readonly ReplicaFeed _feed;
    private readonly Link _link;
    private FeedLoop? _loop;

    public FeedLoopTests()
    {
        _feed = new ReplicaFeed(_source, _host);
        _link = new Link(_nowhere);
    }

    private FeedLoop Loop => _loop!;

    public async ValueTask DisposeAsync()
    {
        if (_loop is not null)
        {
            await _loop.DisposeAsync();
        }

        _feed.Dispose();
        await _link.DisposeAsync();
        await _nowhere.DisposeAsync();
    }

    [Fact]
    public async Task Staleness_after_the_opening_counts_from_the_question_for_all_entries()
    {
        var (loading, _) = await OpenAsync();

        ShouldBeStaleSince(loading);
    }

    [Fact]
    public async Task Staleness_counts_from_the_last_question_that_was_answered()
    {
        var (_, first) = await OpenAsync();
        await NextAsync(_source.Answer);
        ShouldBeStaleSince(first);
        var third = await NextAsync(_source.Fail);
        ShouldBeStaleSince(first);
        await NextAsync(_source.Answer);

        ShouldBeStaleSince(third);
    }

    [Fact]
    public async Task Lag_counts_from_the_question_before_the_one_that_brought_the_write()
    {
        var (_, first) = await OpenAsync();
        await NextAsync(_source.Answer);
        var least = Stopwatch.GetElapsedTime(first.After);
        await NextAsync(() => _source.AnswerWithWrite("k"));

        ShouldBeSince(_lags.Should().ContainSingle("the first question brought nothing").Which, first, least);
    }

    [Fact]
    public async Task Lag_reaches_back_behind_questions_that_failed()
    {
        var (_, first) = await OpenAsync();
        await NextAsync(() => _source.AnswerWithWrite("earlier"));
        _lags.Clear();
        await NextAsync(_source.Fail);
        await NextAsync(_source.Fail);
        var least = Stopwatch.GetElapsedTime(first.After);
        await NextAsync(() => _source.AnswerWithWrite("k"));

        ShouldBeSince(_lags.Should().ContainSingle().Which, first, least);
    }

    // Each question is asked between two timestamps. The first one of the loop is not answered yet.
    private async Task<((long Before, long After) Loading, (long Before, long After) First)> OpenAsync()
    {
        var before = Stopwatch.GetTimestamp();
        var opening = _feed.OpenAsync(default).AsTask();
        var loading = (before, await _source.WhenAskedAsync());
        _source.Answer();
        await opening;
        before = Stopwatch.GetTimestamp();
        _loop = new FeedLoop(_feed, _link, _host, new KvPostgreSqlOptions { PollInterval = TimeSpan.FromSeconds(60) }, NullLogger.Instance, _lags.Enqueue);
        return (loading, (before, await _source.WhenAskedAsync()));
    }

    // The answer is applied when the next question is asked.
    private async Task<(long Before, long After)> NextAsync(Action answer)
    {
        var before = Stopwatch.GetTimestamp();
        answer();
        Loop.Wake();
        return (before, await _source.WhenAskedAsync());
    }

    private void ShouldBeStaleSince((long Before, long After) moment)
    {
        var least = Stopwatch.GetElapsedTime(moment.After);
        ShouldBeSince(Loop.Staleness, moment, least);
    }

    private static void ShouldBeSince(TimeSpan time, (long Before, long After) moment, TimeSpan least) =>
        time.Should().BeGreaterThanOrEqualTo(least).And.BeLessThanOrEqualTo(Stopwatch.GetElapsedTime(moment.Before));
}
