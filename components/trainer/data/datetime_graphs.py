"""Datetimes as text, in graphs, which have no calendar of their own."""

import calendar

import tensorflow as tf

from components.data import datetimes

_MICROSECONDS_PER_DAY = 86_400_000_000
_MONTHS = {"%b": calendar.month_abbr, "%B": calendar.month_name}


def text(since: tf.Tensor, form: str) -> tf.Tensor:
    """Microseconds since 1970, int64 [n], in a format of `datetimes.DIRECTIVES`, as text [n].

    The same as `datetimes.text`.
    """
    days = tf.math.floordiv(since, _MICROSECONDS_PER_DAY)
    within = since - days * _MICROSECONDS_PER_DAY
    year, month, day = _date(days)
    seconds = within // 1_000_000
    numbers = {
        "%Y": (year, 4),
        "%y": (tf.math.floormod(year, 100), 2),
        "%m": (month, 2),
        "%d": (day, 2),
        "%H": (seconds // 3600, 2),
        "%M": (seconds // 60 % 60, 2),
        "%S": (seconds % 60, 2),
        "%f": (within % 1_000_000, 6),
    }

    def part(of: str) -> tf.Tensor:
        if of in numbers:
            number, width = numbers[of]
            return tf.strings.as_string(number, width=width, fill="0")
        if of in _MONTHS:
            return tf.gather(list(_MONTHS[of]), month)
        return tf.fill(tf.shape(since), "%" if of == "%%" else of)

    return tf.strings.join([part(of) for of in datetimes.parts(form)])


def _date(days: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Year, month and day of days since 1970-01-01 in the proleptic Gregorian calendar.

    Years are counted from March, so that a leap day ends one; 400 of them have 146 097 days. See
    Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    """
    shifted = days + 719_468
    era = tf.math.floordiv(shifted, 146_097)
    day_of_era = shifted - era * 146_097
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * from_march + 2) // 5 + 1
    month = tf.where(from_march < 10, from_march + 3, from_march - 9)
    year = year_of_era + era * 400 + tf.cast(month <= 2, days.dtype)
    return year, month, day
