import MartletTestKit
import Testing

@testable import MartletReactor

@Suite("The queue of deadlines")
struct TimerQueueTests {
    @Test func `Deadlines come in order, equal ones as they were added`() {
        var queue = TimerQueue<Int>()
        for (index, deadline) in [5, 1, 3, 1, 5, 3, 1].enumerated() { _ = queue.add(index, at: UInt64(deadline)) }
        #expect(queue.nextDeadline() == 1)
        #expect(queue.popDue(now: 0) == nil)
        var order: [Int] = []
        while let next = queue.popDue(now: 10) { order.append(next) }
        #expect(order == [1, 3, 6, 2, 5, 0, 4])
        #expect(queue.count == 0)
        #expect(queue.nextDeadline() == nil)
    }

    @Test func `A cancelled deadline never comes and is cancelled once`() {
        var queue = TimerQueue<String>()
        let first = queue.add("first", at: 1)
        _ = queue.add("second", at: 2)
        #expect(queue.cancel(first) == "first")
        #expect(queue.cancel(first) == nil)
        #expect(queue.nextDeadline() == 2)
        #expect(queue.popDue(now: 5) == "second")
    }

    @Test func `Cancelled deadlines take no room for long`() {
        var queue = TimerQueue<Int>()
        _ = queue.add(-1, at: 1)
        for number in 0..<200_000 { queue.cancel(queue.add(number, at: 1_000_000 - UInt64(number))) }
        #expect(queue.count == 1)
        #expect(queue.entries < 200)
        #expect(queue.popDue(now: 1) == -1)
    }

    @Test(arguments: 0..<20 as Range<UInt64>) func `It behaves as a sorted list does`(seed: UInt64) {
        var numbers = SeededGenerator(seed: seed)
        var queue = TimerQueue<Int>()
        var model: [(deadline: UInt64, payload: Int)] = []
        var tokens: [(TimerQueue<Int>.Token, Int)] = []
        var now: UInt64 = 0
        for payload in 0..<3000 {
            switch UInt64.random(in: 0..<10, using: &numbers) {
            case 0..<5:
                let deadline = now + UInt64.random(in: 0..<200, using: &numbers)
                tokens.append((queue.add(payload, at: deadline), payload))
                let place = model.firstIndex { $0.deadline > deadline } ?? model.endIndex
                model.insert((deadline, payload), at: place)
            case 5..<8:
                guard let (token, payload) = tokens.randomElement(using: &numbers) else { continue }
                let place = model.firstIndex { $0.payload == payload }
                #expect(queue.cancel(token) == place.map { model[$0].payload })
                if let place { model.remove(at: place) }
            default:
                now += UInt64.random(in: 0..<30, using: &numbers)
                while let next = queue.popDue(now: now) {
                    #expect(model.first?.payload == next)
                    model.removeFirst()
                }
                #expect((model.first?.deadline ?? .max) > now)
            }
            #expect(queue.count == model.count)
            #expect(queue.nextDeadline() == model.first?.deadline)
        }
    }
}
