/*
 * The battery-backed clock, read once at the start. Source: Motorola MC146818A data sheet.
 */
#include "machine.h"
#include "io.h"
#include <arch/platform.h>

#define RTC_INDEX 0x70
#define RTC_DATA  0x71

enum rtc_register {
    RTC_SECONDS = 0,
    RTC_MINUTES = 2,
    RTC_HOURS = 4,
    RTC_DAY = 7,
    RTC_MONTH = 8,
    RTC_YEAR = 9,
    RTC_STATUS_A = 10,
    RTC_STATUS_B = 11,
};

#define STATUS_A_UPDATING BIT(7)
#define STATUS_B_24_HOURS BIT(1)
#define STATUS_B_BINARY   BIT(2)
#define HOURS_PM          BIT(7)
#define MAX_READINGS      64

struct rtc_time {
    u32 second, minute, hour, day, month, year, century;
};

static u8 rtc_read(u8 number)
{
    port_write8(RTC_INDEX, number);
    return port_read8(RTC_DATA);
}

static struct rtc_time read_registers(void)
{
    u8 century = acpi_info()->century_register;

    return (struct rtc_time){
        .second = rtc_read(RTC_SECONDS),
        .minute = rtc_read(RTC_MINUTES),
        .hour = rtc_read(RTC_HOURS),
        .day = rtc_read(RTC_DAY),
        .month = rtc_read(RTC_MONTH),
        .year = rtc_read(RTC_YEAR),
        .century = century != 0 ? rtc_read(century) : 0,
    };
}

static bool is_same(const struct rtc_time *a, const struct rtc_time *b)
{
    return a->second == b->second && a->minute == b->minute && a->hour == b->hour &&
           a->day == b->day && a->month == b->month && a->year == b->year;
}

/* The registers change under the reader: two equal readings in a row are one moment. */
static struct rtc_time read_stable(void)
{
    struct rtc_time now = read_registers();

    for (u32 i = 0; i < MAX_READINGS; i++) {
        struct rtc_time again;

        if ((rtc_read(RTC_STATUS_A) & STATUS_A_UPDATING) != 0) {
            continue;
        }
        again = read_registers();
        if (is_same(&now, &again)) {
            break;
        }
        now = again;
    }
    return now;
}

static u32 from_bcd(u32 value)
{
    return (value >> 4) * 10 + (value & 15);
}

static void decode(struct rtc_time *time, u8 status)
{
    bool is_pm = (status & STATUS_B_24_HOURS) == 0 && (time->hour & HOURS_PM) != 0;

    time->hour &= ~(u32)((status & STATUS_B_24_HOURS) == 0 ? HOURS_PM : 0);
    if ((status & STATUS_B_BINARY) == 0) {
        time->second = from_bcd(time->second);
        time->minute = from_bcd(time->minute);
        time->hour = from_bcd(time->hour);
        time->day = from_bcd(time->day);
        time->month = from_bcd(time->month);
        time->year = from_bcd(time->year);
        time->century = from_bcd(time->century);
    }
    if ((status & STATUS_B_24_HOURS) == 0) {
        time->hour = time->hour % 12 + (is_pm ? 12 : 0);
    }
    time->year += time->century >= 19 && time->century <= 99 ? time->century * 100 : 2000;
}

/* Days from 1970-01-01, by counting years from March so that the leap day comes last. */
static u64 days_since_1970(u32 year, u32 month, u32 day)
{
    u64 y = month <= 2 ? year - 1 : year;
    u64 m = month <= 2 ? month + 9 : month - 3;

    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + (day - 1) - 719468;
}

u64 arch_rtc_read_unix(void)
{
    struct rtc_time time = read_stable();

    decode(&time, rtc_read(RTC_STATUS_B));
    return ((days_since_1970(time.year, time.month, time.day) * 24 + time.hour) * 60 +
            time.minute) *
               60 +
           time.second;
}
