import MartletLink
import MartletTestKit
import Testing

@Suite struct HeartbeatTests {
    @Test func `Silence is asked about at each third and ends at the limit`() {
        for limit in [9, 10, 11, 15_000_000_000, 100] as [UInt64] {
            var beat = Heartbeat(limit: limit, now: 1_000)
            var actions: [Heartbeat.Action] = []
            var now: UInt64 = 1_000
            repeat {
                now = beat.nextTick
                actions.append(beat.tick(now: now))
            } while actions.last != .lost && actions.count < 10
            #expect(now == 1_000 + limit)
            #expect(actions.filter { $0 == .ping }.count >= 2)
            #expect(beat.silence(now: now) == limit)
        }
    }

    @Test func `Ticks that come too early do nothing`() {
        var beat = Heartbeat(limit: 300, now: 0)
        for now in 0..<100 as Range<UInt64> { #expect(beat.tick(now: now) == .none) }
        #expect(beat.tick(now: 100) == .ping)
        #expect(beat.tick(now: 101) == .none)
        beat.heard(now: 150)
        #expect(beat.nextTick == 250)
    }

    @Test func `A process that stood still for longer than the limit knows it for a moment`() {
        var beat = Heartbeat(limit: 300, now: 0)
        #expect(beat.pause(now: 300) == nil)
        #expect(beat.pause(now: 301) == 301)
        _ = beat.tick(now: 500)
        #expect(beat.pause(now: 500) == 500)
        #expect(beat.pause(now: 599) == 500)
        #expect(beat.pause(now: 600) == nil)
        var neverStopped = Heartbeat(limit: 300, now: 0)
        for now in stride(from: 100, to: 2_000, by: 100) as StrideTo<UInt64> {
            neverStopped.heard(now: now)
            _ = neverStopped.tick(now: now)
            #expect(neverStopped.pause(now: now + 50) == nil)
        }
    }

    @Test(arguments: [151, 200, 299, 300, 301, 10_000] as [UInt64])
    func `A process that was itself stopped gives its neighbour time to be heard`(pause: UInt64) {
        var beat = Heartbeat(limit: 300, now: 0)
        // Heard just before the last tick or a whole interval before it: both may happen.
        for lead in [0, 99] as [UInt64] {
            var beat = beat
            #expect(beat.tick(now: lead) == .none)
            let now = lead + pause
            if now >= 300 {
                #expect(beat.tick(now: now) == .ping)
                #expect(beat.nextTick == now + 100)
                var heard = beat
                heard.heard(now: now + 50)
                #expect(heard.tick(now: now + 100) == .none)
                // Grace is given once: nobody is waited for for ever.
                #expect(beat.tick(now: now + 100) == .lost)
            } else {
                #expect(beat.tick(now: now) == .ping)
            }
        }
        beat.heard(now: 1)
    }

    @Test func `A process that is always late still notices silence`() {
        var beat = Heartbeat(limit: 300, now: 0)
        var now: UInt64 = 0
        var ticks = 0
        repeat {
            now += 1_000
            ticks += 1
        } while beat.tick(now: now) != .lost && ticks < 10
        #expect(ticks == 2)
    }

    @Test func `A clock that steps back or runs out does no harm`() {
        var beat = Heartbeat(limit: 300, now: 10_000)
        #expect(beat.tick(now: 5_000) == .none)
        beat.heard(now: 4_000)
        #expect(beat.silence(now: 5_000) == 0)
        #expect(beat.tick(now: 10_100) == .ping)
        var never = Heartbeat(limit: .max, now: .max / 2)
        #expect(never.tick(now: .max / 2 + 1_000_000) == .none)
        #expect(never.nextTick > .max / 2)
        never.heard(now: .max / 2 + 2_000_000)
        #expect(never.tick(now: .max / 2 + 3_000_000) == .none)
        var none = Heartbeat(limit: 0, now: 5)
        #expect(none.tick(now: 5) == .lost)
    }

    @Test func `A neighbour that talks is never lost and one that falls silent always is`() {
        for seed in 0..<300 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let limit = UInt64.random(in: 30...3_000, using: &random)
            let interval = limit / 3
            var beat = Heartbeat(limit: limit, now: 0)
            let silentFrom = UInt64.random(in: 0...(limit * 10), using: &random)
            var now: UInt64 = 0
            var nextTalk: UInt64 = 0
            var pongs: [UInt64] = []
            var lost: UInt64?
            while lost == nil, now < limit * 20 {
                // Ticks come late, by up to a quarter of an interval; some are early.
                let late = UInt64.random(in: 0...(interval / 4), using: &random)
                let tick = Int.random(in: 0..<5, using: &random) == 0 ? now + 1 : max(now, beat.nextTick) + late
                let pong = pongs.first ?? .max
                if nextTalk <= silentFrom, nextTalk <= min(tick, pong) {
                    now = max(now, nextTalk)
                    beat.heard(now: now)
                    // It talks now and then, or only when it is asked.
                    nextTalk = now + (seed % 2 == 0 ? .random(in: 1...(limit * 3 / 4), using: &random) : limit * 100)
                } else if pong <= silentFrom, pong <= tick {
                    now = max(now, pongs.removeFirst())
                    beat.heard(now: now)
                } else {
                    now = tick
                    switch beat.tick(now: now) {
                    case .none: break
                    case .ping: pongs.append(now + .random(in: 0...(interval / 2), using: &random))
                    case .lost: lost = now
                    }
                }
            }
            #expect(lost.map { $0 > silentFrom && $0 <= silentFrom + limit + interval } == true, "seed \(seed)")
        }
    }
}
