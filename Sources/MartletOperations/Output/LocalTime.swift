#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A moment as the clocks of this machine's place show it.
struct LocalTime: Sendable {
    var year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0, millisecond = 0

    static var now: LocalTime {
        var moment = timespec()
        clock_gettime(CLOCK_REALTIME, &moment)
        var seconds = moment.tv_sec
        var parts = tm()
        localtime_r(&seconds, &parts)
        return LocalTime(
            year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday),
            hour: Int(parts.tm_hour), minute: Int(parts.tm_min), second: Int(parts.tm_sec),
            millisecond: Int(moment.tv_nsec) / 1_000_000)
    }

    subscript(_ field: LineTemplate.Field) -> String {
        switch field {
        case .year: Self.digits(year, 4)
        case .month: Self.digits(month, 2)
        case .day: Self.digits(day, 2)
        case .hour: Self.digits(hour, 2)
        case .minute: Self.digits(minute, 2)
        case .second: Self.digits(second, 2)
        case .ms: Self.digits(millisecond, 3)
        case .line, .host, .pipe, .command: ""
        }
    }

    private static func digits(_ value: Int, _ count: Int) -> String {
        let text = "\(value)"
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
