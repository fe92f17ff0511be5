import Testing

@testable import MartletSocket

@Suite struct AttemptLimiterTests {
    @Test func `Three failures are free, then each doubles the wait, up to a limit`() {
        var limiter = AttemptLimiter()
        for _ in 1...3 {
            #expect(limiter.admits("a", at: 0))
            limiter.failed("a", at: 0)
        }
        #expect(limiter.admits("a", at: 0))
        var time = 0.0
        for pause in [2.0, 4, 8, 16, 32, 64, 64, 64] {
            limiter.failed("a", at: time)
            #expect(!limiter.admits("a", at: time + pause - 0.01))
            #expect(limiter.admits("a", at: time + pause))
            #expect(limiter.admits("b", at: time))
            time += pause
        }
    }

    @Test func `A success forgives, and so does time`() {
        var limiter = AttemptLimiter()
        for _ in 1...9 { limiter.failed("a", at: 0) }
        #expect(!limiter.admits("a", at: 1))
        limiter.succeeded("a")
        #expect(limiter.admits("a", at: 1))
        for _ in 1...4 { limiter.failed("b", at: 0) }
        limiter.failed("b", at: 700)
        #expect(limiter.admits("b", at: 700))
    }

    @Test func `Its memory is bounded`() {
        var limiter = AttemptLimiter()
        for number in 0..<(AttemptLimiter.room + 500) { limiter.failed("\(number)", at: Double(number)) }
        #expect(limiter.count == AttemptLimiter.room)
        #expect(limiter.count > 0)
    }
}
